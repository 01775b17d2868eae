package fhir

// Interaction is a RESTful interaction (R4 §3.1.0).
type Interaction string

// The interactions a server of this project knows.
const (
	Read            Interaction = "read"
	VRead           Interaction = "vread"
	Update          Interaction = "update"
	Patch           Interaction = "patch"
	Delete          Interaction = "delete"
	HistoryInstance Interaction = "history-instance"
	HistoryType     Interaction = "history-type"
	HistorySystem   Interaction = "history-system"
	Create          Interaction = "create"
	SearchType      Interaction = "search-type"
	SearchSystem    Interaction = "search-system"
	Batch           Interaction = "batch"
	Transaction     Interaction = "transaction"
	Operation       Interaction = "operation"
	Capabilities    Interaction = "capabilities"
)
