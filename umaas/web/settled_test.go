package web

import (
	"testing"

	"github.com/umaas/umaas/umaas"
)

func TestOneWriteIsOneLine(t *testing.T) {
	entry := func(request, interaction, reason string) umaas.HistoryEntry {
		return umaas.HistoryEntry{AuditEvent: umaas.AuditEvent{RequestID: request, Access: &umaas.Access{Interaction: interaction, Reason: reason}}}
	}
	entries := []umaas.HistoryEntry{
		entry("r1", "create", ""), entry("r1", "create", "intent"), // done
		entry("r2", "create", "intent"),                            // cut short
		entry("r3", "create", ""), entry("r3", "update", "intent"), // another interaction of the same request
		{AuditEvent: umaas.AuditEvent{Type: "rpt-issued"}},
	}
	got := settled(entries)
	if len(got) != 5 || len(entries) != 6 {
		t.Fatalf("%d entries are left of %d, want 5 of 6", len(got), len(entries))
	}
	for _, e := range got {
		if e.RequestID == "r1" && e.Access.Reason == "intent" {
			t.Error("the intent of a finished write is still told")
		}
	}
}
