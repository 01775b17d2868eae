package demo

import (
	"math"
	"time"
)

const (
	snomed = "http://snomed.info/sct"
	loinc  = "http://loinc.org"
	rxnorm = "http://www.nlm.nih.gov/research/umls/rxnorm"
	cvx    = "http://hl7.org/fhir/sid/cvx"
	ucum   = "http://unitsofmeasure.org"
	hl7    = "http://terminology.hl7.org/CodeSystem/"
)

// profiles are the things a record can tell, by the names used in People.
var profiles = map[string]func(*record){
	"penicillin": func(r *record) { r.allergy("91936005", "Allergy to penicillin", "medication", "high") },
	"peanut":     func(r *record) { r.allergy("91935009", "Allergy to peanut", "food", "high") },
	"egg":        func(r *record) { r.allergy("91930004", "Allergy to eggs", "food", "low") },
	"latex":      func(r *record) { r.allergy("300916003", "Latex allergy", "environment", "low") },
	"asthma": func(r *record) {
		r.condition("195967001", "Asthma", 6)
		r.medication("745679", "albuterol inhaler, two puffs when needed")
	},
	"hypertension": func(r *record) {
		r.condition("59621000", "High blood pressure", 9)
		r.medication("314076", "lisinopril 10 mg, one tablet a day")
	},
	"diabetes": func(r *record) {
		r.condition("44054006", "Type 2 diabetes", 12)
		r.medication("860975", "metformin 500 mg, one tablet with meals")
	},
	"vaccinated": func(r *record) { r.vaccinations(3) },
	"newborn":    func(r *record) { r.vaccinations(1) },
}

func (r *record) allergy(code, display, category, criticality string) {
	r.add("AllergyIntolerance", "allergy", object{
		"clinicalStatus":     concept(hl7+"allergyintolerance-clinical", "active", "Active"),
		"verificationStatus": concept(hl7+"allergyintolerance-verification", "confirmed", "Confirmed"),
		"type":               "allergy", "category": []string{category}, "criticality": criticality,
		"code": concept(snomed, code, display), "patient": r.subject(),
		"recordedDate": day(Epoch.AddDate(-1-r.random.IntN(3), 0, -r.random.IntN(300))),
	})
}

func (r *record) condition(code, display string, yearsAgo int) {
	onset := Epoch.AddDate(-yearsAgo, -r.random.IntN(11), 0)
	if onset.Before(r.born()) {
		onset = r.born().AddDate(1, 0, 0)
	}
	r.add("Condition", "condition", object{
		"clinicalStatus":     concept(hl7+"condition-clinical", "active", "Active"),
		"verificationStatus": concept(hl7+"condition-ver-status", "confirmed", "Confirmed"),
		"category":           []object{concept(hl7+"condition-category", "problem-list-item", "Problem List Item")},
		"code":               concept(snomed, code, display), "subject": r.subject(), "onsetDateTime": day(onset),
	})
}

func (r *record) medication(code, display string) {
	r.add("MedicationRequest", "prescription", object{
		"status": "active", "intent": "order", "medicationCodeableConcept": concept(rxnorm, code, display),
		"subject": r.subject(), "requester": ref("Practitioner", "kim"), "authoredOn": day(Epoch.AddDate(0, -r.random.IntN(10), 0)),
		"dosageInstruction": []object{{"text": display}},
	})
}

func (r *record) vaccinations(years int) {
	r.immunization("08", "Hepatitis B", r.born().AddDate(0, 0, 1))
	if r.age(Epoch) < 1 {
		return
	}
	r.immunization("03", "Measles, mumps and rubella", r.born().AddDate(1, 1, 0))
	for y := range years {
		r.immunization("140", "Influenza, seasonal", Epoch.AddDate(-1-y, 0, -r.random.IntN(40)))
	}
}

func (r *record) immunization(code, display string, when time.Time) {
	r.add("Immunization", "vaccination", object{
		"status": "completed", "vaccineCode": concept(cvx, code, display), "patient": r.subject(),
		"occurrenceDateTime": day(when), "primarySource": true,
	})
}

// vitals writes a history of two years, one visit in three months.
func (r *record) vitals() {
	for visit := range 8 {
		at := Epoch.AddDate(0, -3*visit, -r.random.IntN(20))
		if at.Before(r.born()) {
			return
		}
		grown := math.Min(r.age(at)/18, 1)
		r.measure(at, "29463-7", "Body weight", "kg", 3.4+grown*(62+float64(len(r.p.Family)))+r.random.Float64()*2)
		r.measure(at, "8302-2", "Body height", "cm", 50+grown*(112+float64(len(r.p.Given))))
		r.measure(at, "8867-4", "Heart rate", "/min", 120-grown*50+r.random.Float64()*12)
		if r.age(at) >= 3 {
			r.bloodPressure(at)
		}
	}
}

func (r *record) bloodPressure(at time.Time) {
	high := 0.0
	for _, about := range r.p.About {
		if about == "hypertension" {
			high = 22
		}
	}
	o := r.observation(at, "vital-signs", "Vital Signs", "85354-9", "Blood pressure")
	o["component"] = []object{
		{"code": concept(loinc, "8480-6", "Systolic blood pressure"), "valueQuantity": quantity(108+high+r.random.Float64()*14, "mm[Hg]")},
		{"code": concept(loinc, "8462-4", "Diastolic blood pressure"), "valueQuantity": quantity(68+high/2+r.random.Float64()*8, "mm[Hg]")},
	}
	r.add("Observation", "pressure", o)
}

func (r *record) measure(at time.Time, code, display, unit string, value float64) {
	o := r.observation(at, "vital-signs", "Vital Signs", code, display)
	o["valueQuantity"] = quantity(value, unit)
	r.add("Observation", "vital", o)
}

// laboratory writes a yearly set of results with the report that holds them together.
func (r *record) laboratory() {
	for year := range 2 {
		at := Epoch.AddDate(-year, -1, 0)
		if r.age(at) < 2 {
			return
		}
		var results []object
		for _, t := range []struct {
			code, display, unit string
			low, spread         float64
		}{
			{"4548-4", "Hemoglobin A1c", "%", 5.0, 2.5}, {"2093-3", "Cholesterol", "mg/dL", 150, 70},
			{"718-7", "Hemoglobin", "g/dL", 12, 4}, {"2160-0", "Creatinine", "mg/dL", 0.6, 0.6},
		} {
			o := r.observation(at, "laboratory", "Laboratory", t.code, t.display)
			o["valueQuantity"] = quantity(t.low+r.random.Float64()*t.spread, t.unit)
			r.add("Observation", "result", o)
			results = append(results, ref("Observation", r.out[len(r.out)-1]["id"].(string)))
		}
		r.add("DiagnosticReport", "report", object{
			"status": "final", "category": []object{concept(hl7+"v2-0074", "LAB", "Laboratory")}, "code": concept(loinc, "24323-8", "Yearly blood test"),
			"subject": r.subject(), "effectiveDateTime": instant(at), "issued": instant(at.Add(6 * time.Hour)), "result": results,
		})
	}
}

func (r *record) observation(at time.Time, category, categoryText, code, display string) object {
	return object{
		"status": "final", "category": []object{concept(hl7+"observation-category", category, categoryText)},
		"code": concept(loinc, code, display), "subject": r.subject(), "effectiveDateTime": instant(at),
		"performer": []object{ref("Organization", Organizations[0].ID)},
	}
}

func quantity(value float64, unit string) object {
	return object{"value": math.Round(value*10) / 10, "unit": unit, "system": ucum, "code": unit}
}
