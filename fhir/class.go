package fhir

import (
	"strings"
	"sync"
)

// Class says how a type relates to patients; each of the 146 types has exactly one (gateway_rules (d)).
type Class int

// The classes. The zero value is no class: an unknown type, to be denied.
const (
	ClassUnknown      Class = iota
	ClassMember             // C1: the 66 types of the Patient compartment
	ClassDirectory          // C2: directory and catalogue, shared by all patients
	ClassDefinitional       // C3: definitions, shared by all patients
	ClassByRule             // C4: Device, DeviceMetric, Slot, Binary, Bundle, Task
	ClassOwnerless          // C5: types without an owner: absent under patient/
	ClassNotStored          // C6: Parameters, OperationOutcome
)

func (c Class) String() string {
	names := [...]string{"unknown", "member", "directory", "definitional", "by-rule", "ownerless", "not-stored"}
	if c < 0 || int(c) >= len(names) {
		return names[0]
	}
	return names[c]
}

const directoryTypes = `Practitioner PractitionerRole Organization OrganizationAffiliation Location HealthcareService Endpoint
Medication MedicationKnowledge InsurancePlan Substance SubstanceNucleicAcid SubstancePolymer SubstanceProtein
SubstanceReferenceInformation SubstanceSourceMaterial SubstanceSpecification MedicinalProduct MedicinalProductAuthorization
MedicinalProductContraindication MedicinalProductIndication MedicinalProductIngredient MedicinalProductInteraction
MedicinalProductManufactured MedicinalProductPackaged MedicinalProductPharmaceutical MedicinalProductUndesirableEffect`

const definitionalTypes = `ActivityDefinition CapabilityStatement ChargeItemDefinition CodeSystem CompartmentDefinition ConceptMap
DeviceDefinition EventDefinition ExampleScenario GraphDefinition ImplementationGuide Library Measure MessageDefinition
NamingSystem ObservationDefinition OperationDefinition PlanDefinition Questionnaire ResearchDefinition SearchParameter
ResearchElementDefinition SpecimenDefinition StructureDefinition StructureMap TerminologyCapabilities TestReport
TestScript ValueSet Evidence EvidenceVariable EffectEvidenceSynthesis RiskEvidenceSynthesis CatalogEntry`

const (
	byRuleTypes    = `Device DeviceMetric Slot Binary Bundle Task`
	ownerlessTypes = `BiologicallyDerivedProduct Contract EnrollmentResponse GuidanceResponse Linkage MessageHeader PaymentNotice
PaymentReconciliation ResearchStudy Subscription VerificationResult`
	notStoredTypes = `Parameters OperationOutcome`
)

var classes = sync.OnceValue(func() map[string]Class {
	m := map[string]Class{}
	for typ := range compartment() {
		m[typ] = ClassMember
	}
	for class, list := range map[Class]string{
		ClassDirectory: directoryTypes, ClassDefinitional: definitionalTypes, ClassByRule: byRuleTypes,
		ClassOwnerless: ownerlessTypes, ClassNotStored: notStoredTypes,
	} {
		for _, typ := range strings.Fields(list) {
			m[typ] = class
		}
	}
	return m
})

// ClassOf gives the class of a resource type; ClassUnknown for a name that is no R4 type.
func ClassOf(resourceType string) Class { return classes()[resourceType] }
