package httpapi

import (
	"fmt"

	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

const maxEvents = 500 // as many as the core takes in one report

// accessEvents takes a batch of access events, a JSON array of uma.AccessEvent. It is idempotent by event id.
func (a *api) accessEvents(c *gin.Context, p umaas.PAT) error {
	raw, err := readJSON(c.Request)
	if err != nil {
		return err
	}
	var events []uma.AccessEvent
	if err := decode(raw, &events); err != nil {
		return err
	}
	if len(events) == 0 || len(events) > maxEvents {
		return uma.ErrInvalidRequest.With(fmt.Sprintf("the body must be an array of 1 to %d events", maxEvents))
	}
	for i, e := range events {
		if e.ID == "" || e.Time == "" || e.Interaction == "" || e.Outcome == "" {
			return uma.ErrInvalidRequest.With(fmt.Sprintf("[%d] needs id, time, interaction and outcome", i))
		}
	}
	if err := a.Service.RecordAccess(c.Request.Context(), p, events); err != nil {
		return err
	}
	return noContent(c)
}
