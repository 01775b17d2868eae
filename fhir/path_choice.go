package fhir

import (
	"slices"
	"strings"
	"sync"
)

// choicePrimitives and choiceComplex are R4's data types by the suffix they give a choice element (R4 §2.1.0 "open" list).
const (
	choicePrimitives = "Base64Binary Boolean Canonical Code Date DateTime Decimal Id Instant Integer Markdown Oid PositiveInt" +
		" String Time UnsignedInt Uri Url Uuid"
	choiceComplex = "Address Age Annotation Attachment CodeableConcept Coding ContactPoint Count Distance Duration HumanName" +
		" Identifier Money Period Quantity Range Ratio Reference SampledData Signature Timing ContactDetail Contributor" +
		" DataRequirement Expression ParameterDefinition RelatedArtifact TriggerDefinition UsageContext Dosage Meta"
)

// choiceElements are R4's choice elements ("name[x]" in its StructureDefinitions) as "parent.name"; value is a choice or
// nothing everywhere. An element not named here has no choice suffixes, so that a body with an invented member such as
// Observation.subjectReference selects nothing by "Observation.subject".
const choiceElements = `value doseAndRate.dose doseAndRate.rate dosage.asNeeded dosageInstruction.asNeeded note.author repeat.bounds
trigger.timing dataRequirement.subject population.age amount.amount element.defaultValue element.fixed
element.pattern element.minValue element.maxValue ActivityDefinition.product ActivityDefinition.subject
ActivityDefinition.timing AllergyIntolerance.onset ChargeItem.occurrence ChargeItem.product
ClinicalImpression.effective CommunicationRequest.occurrence ConceptMap.source ConceptMap.target
Condition.abatement Condition.onset Consent.source Contract.legallyBinding Contract.topic
CoverageEligibilityRequest.serviced CoverageEligibilityResponse.serviced DetectedIssue.identified
DeviceDefinition.manufacturer DeviceRequest.code DeviceRequest.occurrence DeviceUseStatement.timing
DiagnosticReport.effective EventDefinition.subject FamilyMemberHistory.age FamilyMemberHistory.born
FamilyMemberHistory.deceased Goal.start GuidanceResponse.module Immunization.occurrence
ImmunizationEvaluation.doseNumber ImmunizationEvaluation.seriesDoses Library.subject Measure.subject Media.created
MedicationAdministration.effective MedicationAdministration.medication MedicationDispense.medication
MedicationDispense.statusReason MedicationRequest.medication MedicationRequest.reported
MedicationStatement.effective MedicationStatement.medication MessageDefinition.event MessageHeader.event
Observation.effective Patient.deceased Patient.multipleBirth PlanDefinition.subject Procedure.performed
Provenance.occurred ResearchDefinition.subject ResearchElementDefinition.subject RiskAssessment.occurrence
ServiceRequest.asNeeded ServiceRequest.occurrence ServiceRequest.quantity SupplyDelivery.occurrence
SupplyRequest.item SupplyRequest.occurrence accident.location action.definition action.occurrence action.subject
action.timing addItem.location addItem.serviced additive.additive administration.rate
administrationGuidelines.indication benefit.allowed benefit.used characteristic.definition
characteristic.participantEffective characteristic.studyEffective collection.collected collection.fastingStatus
condition.onset container.additive container.minimumVolume detail.product detail.scheduled diagnosis.diagnosis
dosage.rate enableWhen.answer financial.allowed financial.used friendly.content ingredient.item
ingredient.substance interactant.item item.location item.serviced legal.content lineItem.chargeItem
manipulation.time moiety.amount otherTherapy.medication page.name patientCharacteristics.characteristic
payload.content prediction.probability prediction.when procedure.date procedure.procedure processing.time
property.amount property.definingSubstance protocolApplied.doseNumber protocolApplied.seriesDoses
recommendation.doseNumber recommendation.seriesDoses relatedAction.offset relatesTo.target relationship.amount
relationship.substance resource.example rule.content source.defaultValue specialDesignation.indication
substitution.allowed suppliedItem.item supportingInfo.timing target.amount target.detail target.due term.topic
valuedItem.entity`

type choiceIndex struct {
	elements map[string]bool
	types    map[string]string // suffix → type name
}

var choices = sync.OnceValue(func() choiceIndex {
	index := choiceIndex{map[string]bool{}, map[string]string{}}
	for _, name := range strings.Fields(choiceElements) {
		index.elements[name] = true
	}
	for _, suffix := range strings.Fields(choicePrimitives) {
		index.types[suffix] = strings.ToLower(suffix[:1]) + suffix[1:]
	}
	for _, suffix := range strings.Fields(choiceComplex) {
		index.types[suffix] = suffix
	}
	return index
})

// choiceTypes lists the types under which a choice element is present in m, sorted, as type names.
func choiceTypes(parent, name string, m map[string]any) []string {
	index := choices()
	if !index.elements[name] && !index.elements[parent+"."+name] {
		return nil
	}
	var list []string
	for member := range m {
		if suffix, ok := strings.CutPrefix(member, name); ok && index.types[suffix] != "" {
			list = append(list, index.types[suffix])
		}
	}
	slices.Sort(list)
	return list
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
