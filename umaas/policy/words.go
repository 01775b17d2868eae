package policy

// word is how one resource type reads to a person: the list word follows a verb ("See your allergies").
type word struct {
	group  string
	list   string
	long   string
	remark string
	on     string // the blocks the remark is for, "" every one
}

// groups in the order of pages: what is nearest to a person first.
var groups = []string{
	"you", "problems", "medicines", "vaccinations", "results", "visits", "plans", "documents", "devices", "insurance",
	"other", "sharing", "names",
}

const (
	orders      = "what was ordered for you"
	risks       = "risks and warnings about you"
	bills       = "your bills and payments"
	cover       = "your insurance"
	given       = "the medicines you were given"
	due         = "the vaccinations that are due"
	reports     = "your test reports and samples"
	pictures    = "your scans, pictures and recordings"
	letters     = "your documents and letters"
	messages    = "messages about your care"
	appointment = "your appointments"
	contacts    = "your family and contact persons"
	implants    = "your implants and devices"
	careplans   = "your care plans, goals and care team"
	studies     = "studies, groups, quality reports you are part of"
	genetic     = "your genetic reports"
	names       = "names of doctors, clinics and medicines"
)

// words holds a row for every type of the patient compartment but Basic, which can be anything, and for the directory types a
// record refers to (TX-03).
var words = map[string]word{
	"Patient":       {"you", "your personal details", "name, birth date, sex, address, phone, language, record numbers", "", ""},
	"RelatedPerson": {"you", contacts, "how they are related and reached", "names other people", ""},
	"Person":        {"you", contacts, "how they are related and reached", "names other people", ""},

	"Condition":           {"problems", "your health problems", "diagnoses, since when, whether still present", "", ""},
	"AllergyIntolerance":  {"problems", "your allergies", "what you do not tolerate, how you reacted", "a wrong entry can harm you", "add change"},
	"FamilyMemberHistory": {"problems", "illnesses in your family", "what relatives have or had", "says something about your relatives too", ""},
	"ClinicalImpression":  {"problems", risks, "what your care team concluded or must look out for", "", ""},
	"RiskAssessment":      {"problems", risks, "what your care team concluded or must look out for", "", ""},
	"DetectedIssue":       {"problems", risks, "what your care team concluded or must look out for", "", ""},
	"AdverseEvent":        {"problems", risks, "what your care team concluded or must look out for", "", ""},
	"Flag":                {"problems", risks, "what your care team concluded or must look out for", "", ""},
	"BodyStructure":       {"problems", risks, "what your care team concluded or must look out for", "", ""},

	"MedicationRequest":        {"medicines", "your prescriptions", "medicine, dose, who prescribed it", "may order medicines in your name", "add"},
	"MedicationStatement":      {"medicines", "the medicines you take", "also those you bought or reported yourself", "", ""},
	"MedicationDispense":       {"medicines", given, "at the pharmacy, in hospital", "", ""},
	"MedicationAdministration": {"medicines", given, "at the pharmacy, in hospital", "", ""},

	"Immunization":               {"vaccinations", "your vaccinations", "which, when, where; also refused ones", "", ""},
	"ImmunizationRecommendation": {"vaccinations", due, "what is planned, which ones count", "", ""},
	"ImmunizationEvaluation":     {"vaccinations", due, "what is planned, which ones count", "", ""},

	"Observation":       {"results", "your measurements, test results and lifestyle answers", "lab, vital signs, smoking, living situation", "", ""},
	"DiagnosticReport":  {"results", reports, "lab, scans, tissue", "", ""},
	"Specimen":          {"results", reports, "lab, scans, tissue", "", ""},
	"ImagingStudy":      {"results", pictures, "X-ray, CT, MRI, ultrasound, photos", "", ""},
	"Media":             {"results", pictures, "X-ray, CT, MRI, ultrasound, photos", "", ""},
	"MolecularSequence": {"results", "your genetic data", "results of gene tests", "says something about your relatives too", ""},

	"Encounter":          {"visits", "your visits and hospital stays", "where, when, with whom, why", "", ""},
	"EpisodeOfCare":      {"visits", "your visits and hospital stays", "where, when, with whom, why", "", ""},
	"Procedure":          {"visits", "your operations and treatments", "what was done, by whom", "", ""},
	"ServiceRequest":     {"visits", orders, "tests, referrals, aids", "may order for you", "add"},
	"DeviceRequest":      {"visits", orders, "tests, referrals, aids", "may order for you", "add"},
	"NutritionOrder":     {"visits", orders, "tests, referrals, aids", "may order for you", "add"},
	"VisionPrescription": {"visits", orders, "tests, referrals, aids", "may order for you", "add"},
	"RequestGroup":       {"visits", orders, "tests, referrals, aids", "may order for you", "add"},
	"SupplyRequest":      {"visits", orders, "tests, referrals, aids", "may order for you", "add"},
	"SupplyDelivery":     {"visits", orders, "tests, referrals, aids", "", ""},

	"CarePlan":             {"plans", careplans, "what is planned, who looks after you", "", ""},
	"Goal":                 {"plans", careplans, "what is planned, who looks after you", "", ""},
	"CareTeam":             {"plans", careplans, "what is planned, who looks after you", "", ""},
	"Appointment":          {"plans", appointment, "when, where, with whom", "", ""},
	"AppointmentResponse":  {"plans", appointment, "when, where, with whom", "", ""},
	"Schedule":             {"plans", appointment, "when, where, with whom", "", ""},
	"Communication":        {"plans", messages, "between you and your care team", "", ""},
	"CommunicationRequest": {"plans", messages, "between you and your care team", "", ""},
	"Task":                 {"plans", messages, "to-dos of your care", "", ""},

	"DocumentReference":     {"documents", letters, "discharge letters, notes, files", "may contain anything", ""},
	"Composition":           {"documents", letters, "discharge letters, notes, files", "may contain anything", ""},
	"DocumentManifest":      {"documents", letters, "discharge letters, notes, files", "may contain anything", ""},
	"List":                  {"documents", letters, "discharge letters, notes, files", "may contain anything", ""},
	"Binary":                {"documents", letters, "discharge letters, notes, files", "may contain anything", ""},
	"Bundle":                {"documents", letters, "discharge letters, notes, files", "may contain anything", ""},
	"QuestionnaireResponse": {"documents", "your answers to forms", "what you or your team filled in", "", ""},

	"DeviceUseStatement": {"devices", implants, "pacemaker, pump, meter, hearing aid", "", ""},
	"Device":             {"devices", implants, "pacemaker, pump, meter, hearing aid", "", ""},
	"DeviceMetric":       {"devices", implants, "pacemaker, pump, meter, hearing aid", "", ""},

	"Coverage":                    {"insurance", cover, "plan, number, what is covered", "", ""},
	"CoverageEligibilityRequest":  {"insurance", cover, "plan, number, what is covered", "", ""},
	"CoverageEligibilityResponse": {"insurance", cover, "plan, number, what is covered", "", ""},
	"EnrollmentRequest":           {"insurance", cover, "plan, number, what is covered", "", ""},
	"ExplanationOfBenefit":        {"insurance", bills, "what was charged and paid", "bills also show visits, diagnoses and medicines", ""},
	"Claim":                       {"insurance", bills, "what was charged and paid", "bills also show visits, diagnoses and medicines", ""},
	"ClaimResponse":               {"insurance", bills, "what was charged and paid", "bills also show visits, diagnoses and medicines", ""},
	"Account":                     {"insurance", bills, "what was charged and paid", "bills also show visits, diagnoses and medicines", ""},
	"ChargeItem":                  {"insurance", bills, "what was charged and paid", "bills also show visits, diagnoses and medicines", ""},
	"Invoice":                     {"insurance", bills, "what was charged and paid", "bills also show visits, diagnoses and medicines", ""},

	"ResearchSubject": {"other", studies, "which ones, since when", "", ""},
	"Group":           {"other", studies, "which ones, since when", "", ""},
	"MeasureReport":   {"other", studies, "which ones, since when", "", ""},

	"Consent":    {"sharing", "your choices about sharing", "what you allowed and refused", "could change who sees your record", "add change delete"},
	"Provenance": {"sharing", "who entered what", "who put entries into your record, and when", "", ""},
	"AuditEvent": {"sharing", "who looked", "who opened entries of your record, and when", "", ""},

	"Practitioner":            {"names", names, "nothing about you", "", ""},
	"PractitionerRole":        {"names", names, "nothing about you", "", ""},
	"Organization":            {"names", names, "nothing about you", "", ""},
	"OrganizationAffiliation": {"names", names, "nothing about you", "", ""},
	"Location":                {"names", names, "nothing about you", "", ""},
	"HealthcareService":       {"names", names, "nothing about you", "", ""},
	"Endpoint":                {"names", names, "nothing about you", "", ""},
	"Medication":              {"names", names, "nothing about you", "", ""},
	"MedicationKnowledge":     {"names", names, "nothing about you", "", ""},
	"Substance":               {"names", names, "nothing about you", "", ""},
}

// sensitiveTypes always stand in the sensitive block.
var sensitiveTypes = map[string]bool{"MolecularSequence": true}

// limits replaces a type's list word by a narrower one for a category (TX-04).
var limits = map[string]string{
	"Observation laboratory":                        "your lab results (blood, urine and others)",
	"Observation vital-signs":                       "your vital signs (blood pressure, pulse, temperature, weight)",
	"Observation social-history":                    "your lifestyle (smoking, alcohol, work)",
	"Observation sdoh":                              "your living situation (housing, food, safety)",
	"Observation survey":                            "your answers to health questions",
	"Observation activity":                          "your activity and sleep",
	"Observation exam":                              "findings of examinations",
	"Observation imaging":                           "findings of scans",
	"Observation procedure":                         "findings of treatments",
	"Observation therapy":                           "findings of therapies",
	"Observation clinical-test":                     "heart, lung and similar tests",
	"Observation functional-status":                 "how you manage daily life",
	"Observation disability-status":                 "your disabilities",
	"Observation cognitive-status":                  "your memory and thinking",
	"Observation treatment-intervention-preference": "your wishes for treatment",
	"Observation care-experience-preference":        "your wishes for how you are cared for",
	"Condition problem-list-item":                   "your list of ongoing problems",
	"Condition encounter-diagnosis":                 "diagnoses made at visits",
	"Condition health-concern":                      "worries noted by you or your team",
	"DiagnosticReport LAB":                          "your lab reports",
	"DiagnosticReport RAD":                          "your scan reports",
	"DiagnosticReport LP29684-5":                    "your scan reports",
	"DiagnosticReport EC":                           "your heart test reports",
	"DiagnosticReport LP29708-2":                    "your heart test reports",
	"DiagnosticReport PAT":                          "your tissue reports",
	"DiagnosticReport LP7839-6":                     "your tissue reports",
	"DiagnosticReport GE":                           genetic,
	"DocumentReference clinical-note":               "notes written by your doctors and nurses",
}
