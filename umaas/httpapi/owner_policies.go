package httpapi

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

func (a *api) listPolicies(c ownerCall) error {
	if consent, err := asConsent(c); err != nil || consent {
		if err != nil {
			return err
		}
		return a.exportConsents(c, "")
	}
	inForce, err := yes(c, "in_force")
	if err != nil {
		return err
	}
	shares, err := c.Shares(c.ctx())
	if err != nil {
		return err
	}
	out := []policyShape{}
	for _, v := range shares {
		if p := a.shapePolicy(v); p.InForce || !inForce {
			out = append(out, p)
		}
	}
	return writeJSON(c.Context, http.StatusOK, map[string]any{"policies": out})
}

func (a *api) createPolicy(c ownerCall) error {
	var body newPolicy
	if err := readStrict(c.Request, &body); err != nil {
		return err
	}
	share, err := body.share()
	if err != nil {
		return err
	}
	check, err := yes(c, "check")
	if err != nil {
		return err
	}
	if check {
		v, err := c.CheckShare(c.ctx(), share)
		if err != nil {
			return err
		}
		return writeJSON(c.Context, http.StatusOK, a.shapePolicy(v))
	}
	id, err := c.CreateShare(c.ctx(), share, requestID(c.Context))
	if err != nil {
		return err
	}
	return a.writePolicy(c, http.StatusCreated, id)
}

// writePolicy answers with one policy, its version as entity tag (RFC 9110 §8.8.3).
func (a *api) writePolicy(c ownerCall, status int, id umaas.PolicyID) error {
	v, err := c.Share(c.ctx(), id)
	if err != nil {
		return err
	}
	if status == http.StatusCreated {
		c.Header("Location", a.Issuer+"/owner/policies/"+url.PathEscape(string(id)))
	}
	c.Header("ETag", entityTag(v.Policy))
	return writeJSON(c.Context, status, a.shapePolicy(v))
}

func entityTag(p umaas.Policy) string { return `"` + p.Version() + `"` }

// ifMatch reads the version a change is meant for (RFC 9110 §13.1.1): one strong tag, "*" or nothing.
func ifMatch(c ownerCall) (string, error) {
	lines := c.Request.Header.Values("If-Match")
	switch {
	case len(lines) == 0 || len(lines) == 1 && strings.TrimSpace(lines[0]) == "*":
		return "", nil
	case len(lines) > 1:
		return "", uma.ErrInvalidRequest.With("If-Match: send one entity tag")
	}
	tag := strings.TrimSpace(lines[0])
	if len(tag) < 3 || tag[0] != '"' || tag[len(tag)-1] != '"' || strings.ContainsAny(tag[1:len(tag)-1], `",`) {
		return "", uma.ErrInvalidRequest.With(`If-Match: want one strong entity tag, as ETag gave it`)
	}
	return tag[1 : len(tag)-1], nil
}

func (a *api) readPolicy(c ownerCall) error {
	id := umaas.PolicyID(c.Param("id"))
	if consent, err := asConsent(c); err != nil || consent {
		if err != nil {
			return err
		}
		return a.exportConsents(c, id)
	}
	return a.writePolicy(c, http.StatusOK, id)
}

// narrowing is the body of PATCH: what stays, and an earlier end.
type narrowing struct {
	Items *[]string   `json:"items"`
	Rules []ruleShape `json:"rules"`
	Until string      `json:"until"`
}

type changedPolicy struct {
	Policy policyShape  `json:"policy"`
	Effect effectAnswer `json:"effect"`
}

func (a *api) narrowPolicy(c ownerCall) error {
	var body narrowing
	if err := readStrict(c.Request, &body); err != nil {
		return err
	}
	until, err := moment("until", body.Until)
	if err != nil {
		return err
	}
	n := umaas.Narrowing{Rules: rulesOf(body.Rules), Until: until}
	switch {
	case body.Items != nil && body.Rules != nil:
		return uma.ErrInvalidRequest.With("say what stays by items or by rules, not both")
	case body.Items == nil && body.Rules == nil && until.IsZero():
		return uma.ErrInvalidRequest.With("say what changes: items, rules or until")
	case body.Items != nil:
		n.ByItems, n.Items = true, *body.Items
	}
	if n.Version, err = ifMatch(c); err != nil {
		return err
	}
	id := umaas.PolicyID(c.Param("id"))
	effect, err := c.NarrowShare(c.ctx(), id, n, requestID(c.Context))
	if err != nil {
		return changedSince(err)
	}
	v, err := c.Share(c.ctx(), id)
	if err != nil {
		return err
	}
	c.Header("ETag", entityTag(v.Policy))
	return writeJSON(c.Context, http.StatusOK, changedPolicy{a.shapePolicy(v), effectOf(effect)})
}

func changedSince(err error) error {
	if errors.Is(err, umaas.ErrChanged) {
		return errPrecondition
	}
	return err
}

func (a *api) stopPolicy(c ownerCall) error {
	version, err := ifMatch(c)
	if err != nil {
		return err
	}
	v, effect, err := c.StopShareAt(c.ctx(), umaas.PolicyID(c.Param("id")), version, requestID(c.Context))
	if err != nil {
		return changedSince(err)
	}
	return writeJSON(c.Context, http.StatusOK, changedPolicy{a.shapePolicy(v), effectOf(effect)})
}

func (a *api) restorePolicy(c ownerCall) error {
	id, err := c.RestoreShare(c.ctx(), umaas.PolicyID(c.Param("id")), requestID(c.Context))
	if err != nil {
		return err
	}
	return a.writePolicy(c, http.StatusCreated, id)
}

func (a *api) listShareable(c ownerCall) error {
	records, err := c.Shareable(c.ctx())
	if err != nil {
		return err
	}
	return writeJSON(c.Context, http.StatusOK, map[string]any{"resources": shapeRecords(records)})
}
