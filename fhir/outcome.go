package fhir

import "encoding/json"

// Issue is one entry of an OperationOutcome. Severity is fatal, error, warning or information; Code is a code of
// http://hl7.org/fhir/issue-type; Text is for a person; Expression are FHIRPath locations. Severity and Code default to
// "error" and "processing".
type Issue struct {
	Severity, Code, Text string
	Expression           []string
}

type outcomeText struct {
	Text string `json:"text"`
}

type outcomeIssue struct {
	Severity   string       `json:"severity"`
	Code       string       `json:"code"`
	Details    *outcomeText `json:"details,omitempty"`
	Expression []string     `json:"expression,omitempty"`
}

// Outcome gives an OperationOutcome as JSON. The bytes depend on the issues alone, so that two refusals with the same
// issues cannot be told apart (GW-37). Without issues it is one informational "ok" (R4 §2.28: at least one issue).
func Outcome(issues ...Issue) []byte {
	if len(issues) == 0 {
		issues = []Issue{{Severity: "information", Code: "informational", Text: "All OK"}}
	}
	body := struct {
		ResourceType string         `json:"resourceType"`
		Issue        []outcomeIssue `json:"issue"`
	}{ResourceType: "OperationOutcome"}
	for _, i := range issues {
		issue := outcomeIssue{Severity: i.Severity, Code: i.Code, Expression: i.Expression}
		if issue.Severity == "" {
			issue.Severity = "error"
		}
		if issue.Code == "" {
			issue.Code = "processing"
		}
		if i.Text != "" {
			issue.Details = &outcomeText{i.Text}
		}
		body.Issue = append(body.Issue, issue)
	}
	// Only strings are encoded: Marshal cannot fail on them.
	out, _ := json.Marshal(body)
	return out
}
