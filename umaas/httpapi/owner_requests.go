package httpapi

import (
	"net/http"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

type partyShape struct {
	Account umaas.AccountID `json:"account"`
	Name    string          `json:"name"`
	Email   string          `json:"email,omitempty"` // verified
}

type appShape struct {
	ID        umaas.ClientID `json:"id"`
	Name      string         `json:"name"`
	Host      string         `json:"host,omitempty"`
	CheckedBy string         `json:"checked_by,omitempty"`
	Unchecked bool           `json:"unchecked,omitempty"` // it registered itself
}

type requestShape struct {
	ID         string             `json:"id"`
	State      umaas.RequestState `json:"state"`
	Party      partyShape         `json:"party"`
	Client     appShape           `json:"client"`
	Records    []recordShape      `json:"records"`
	Purpose    string             `json:"purpose,omitempty"`
	Note       string             `json:"note,omitempty"`
	BreakGlass bool               `json:"emergency,omitempty"`        // the party declared an emergency
	Notice     bool               `json:"emergency_notice,omitempty"` // access was given by an emergency policy; nothing to answer
	Repeats    int                `json:"repeats"`
	Quiet      bool               `json:"quiet,omitempty"`
	Created    time.Time          `json:"created"`
	Expires    time.Time          `json:"expires"`
	Answered   *time.Time         `json:"answered,omitempty"`
	By         umaas.AccountID    `json:"answered_by,omitempty"`
	Policy     umaas.PolicyID     `json:"policy_id,omitempty"`
	Undo       *time.Time         `json:"undo_until,omitempty"`
	Digest     string             `json:"digest"`
}

func shapeRequest(v umaas.RequestView) requestShape {
	return requestShape{
		ID: v.Key.String(), State: v.State, Party: partyShape{v.Party.Account, v.PartyName, v.PartyEmail},
		Client:  appShape{v.App.ID, v.App.Name, v.App.Host, v.App.CheckedBy, v.App.Dynamic},
		Records: shapeRecords(v.Records), Purpose: v.Purpose, Note: v.Note, BreakGlass: v.BreakGlass, Notice: v.EmergencyNotice(),
		Repeats: v.Repeats, Quiet: v.Quiet, Created: v.Created.UTC(), Expires: v.Expires.UTC(), Answered: optional(v.Answered), By: v.By,
		Policy: v.Policy, Undo: optional(v.Undo), Digest: v.Digest,
	}
}

func (a *api) listRequests(c ownerCall) error {
	var before umaas.Key
	if text := c.query.Get("before"); text != "" {
		var err error
		if before, err = umaas.ParseKey(text); err != nil {
			return uma.ErrInvalidRequest.With("before: want the id of a request")
		}
	}
	state := umaas.RequestState(c.query.Get("state"))
	switch state {
	case "", umaas.RequestWaiting, umaas.RequestAllowed, umaas.RequestDenied:
	default:
		return uma.ErrInvalidRequest.With("state: want waiting, allowed or denied")
	}
	views, err := c.Inbox(c.ctx(), before)
	if err != nil {
		return err
	}
	out := []requestShape{}
	for _, v := range views {
		if state == "" || v.State == state {
			out = append(out, shapeRequest(v))
		}
	}
	return writeJSON(c.Context, http.StatusOK, map[string]any{"requests": out})
}

func (a *api) readRequest(c ownerCall) error {
	key, err := recordKey(c)
	if err != nil {
		return err
	}
	v, err := c.RequestView(c.ctx(), key)
	if err != nil {
		return err
	}
	return writeJSON(c.Context, http.StatusOK, shapeRequest(v))
}

// answerBody is an answer to what stood there under this digest (SEC-47).
type answerBody struct {
	Allow  *bool    `json:"allow"`
	Digest string   `json:"digest"`
	Items  []string `json:"items"`
	Until  string   `json:"until"`
	Silent int      `json:"silent_seconds"`
}

const maxSilent = 10 * 365 * 24 * time.Hour

func (a *api) answerRequest(c ownerCall) error {
	key, err := recordKey(c)
	if err != nil {
		return err
	}
	var body answerBody
	if err := readStrict(c.Request, &body); err != nil {
		return err
	}
	until, err := moment("until", body.Until)
	switch {
	case err != nil:
		return err
	case body.Allow == nil:
		return uma.ErrInvalidRequest.With("allow is missing: true or false")
	case body.Digest == "":
		return uma.ErrInvalidRequest.With("digest is missing: the one of the request as you read it")
	case !*body.Allow && (len(body.Items) > 0 || !until.IsZero()):
		return uma.ErrInvalidRequest.With("a refusal takes no items and no end")
	case body.Silent < 0 || body.Silent > int(maxSilent/time.Second) || *body.Allow && body.Silent > 0:
		return uma.ErrInvalidRequest.With("silent_seconds goes with a refusal and is not negative")
	}
	v, err := c.AnswerRequest(c.ctx(), key, umaas.RequestAnswer{
		Allow: *body.Allow, Digest: body.Digest, Items: body.Items, Until: until, Silent: time.Duration(body.Silent) * time.Second,
	}, requestID(c.Context))
	if err != nil {
		return err
	}
	return writeJSON(c.Context, http.StatusOK, shapeRequest(v))
}

func (a *api) undoAnswer(c ownerCall) error {
	key, err := recordKey(c)
	if err != nil {
		return err
	}
	v, effect, err := c.UndoAnswer(c.ctx(), key, requestID(c.Context))
	if err != nil {
		return err
	}
	return writeJSON(c.Context, http.StatusOK, map[string]any{"request": shapeRequest(v), "effect": effectOf(effect)})
}

func (a *api) endEmergency(c ownerCall) error {
	key, err := recordKey(c)
	if err != nil {
		return err
	}
	effect, err := c.EndEmergency(c.ctx(), key, requestID(c.Context))
	if err != nil {
		return err
	}
	return writeJSON(c.Context, http.StatusOK, map[string]any{"effect": effectOf(effect)})
}
