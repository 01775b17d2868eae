// Package client is what an app needs of a resource server's context URLs (seed 004): send a person to the resolution
// service, read her return, ask at the context URL for all scopes at once, and read the launch context with the RPT. What
// lies between ticket and RPT is the uma-ticket grant at the authorization server the challenge names.
//
//	to := client.ResolveURL("https://hospital.example", client.Patient, "https://app.example/back", state)
//	contextURL, err := client.Return(r.URL.Query(), "https://hospital.example", state)
//	ticket, err := client.Ask(ctx, http.DefaultClient, contextURL, "AllergyIntolerance.read Immunization.write", "")
//	launch, err := client.Launch(ctx, http.DefaultClient, contextURL, rpt)
//
// With a key of its own (Bound) an app gets RPTs that nobody else can use.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/umaas/umaas/umaas/pop"
	"github.com/umaas/umaas/umaas/uma"
)

// Level is what a context URL speaks of.
type Level string

// The levels of a context URL.
const (
	User    Level = "user"    // everything the person may see
	Patient Level = "patient" // one patient's record
)

// ResolveURL is where to send the person's browser. state is at least 122 random bits, kept with her session.
func ResolveURL(resourceServer string, level Level, redirectURI, state string) string {
	q := url.Values{"redirect_uri": {redirectURI}, "state": {state}}
	return strings.TrimSuffix(resourceServer, "/") + "/resolve-uma-context/" + string(level) + "?" + q.Encode()
}

// ReturnError is an answer of the resolution service that is no context URL (flows.md A3.4).
type ReturnError struct{ Code string }

func (e *ReturnError) Error() string { return "no context URL: " + e.Code }

// Return reads the query the person came back with. state and resourceServer must be those she was sent with: another
// server's answer is refused (RFC 9207).
func Return(q url.Values, resourceServer, state string) (contextURL string, err error) {
	switch {
	case state == "" || len(q["state"]) != 1 || q.Get("state") != state:
		return "", errors.New("return: state is not the one sent")
	case len(q["iss"]) != 1 || q.Get("iss") != strings.TrimSuffix(resourceServer, "/"):
		return "", errors.New("return: answered by another server")
	case q.Get("error") != "":
		return "", &ReturnError{Code: q.Get("error")}
	case len(q["resolved"]) != 1:
		return "", errors.New("return: want exactly one resolved")
	}
	return Pasted(q.Get("resolved"), resourceServer)
}

// Pasted checks a context URL a person gave by hand: at the resource server she named, with nothing besides its handle.
func Pasted(contextURL, resourceServer string) (string, error) {
	contextURL = strings.TrimSpace(contextURL)
	rest, ok := strings.CutPrefix(contextURL, strings.TrimSuffix(resourceServer, "/")+"/uma-context/")
	if !ok || rest == "" || strings.ContainsAny(rest, "/?#%\\ ") {
		return "", errors.New("this is not a connect link of the named server")
	}
	return contextURL, nil
}

// Ticket is a permission ticket and the authorization server to redeem it at (Grant §3.2.1).
type Ticket struct {
	ASURI  string `json:"as_uri"`
	Ticket string `json:"ticket"`
	Scope  string `json:"scope"`
}

// Ask requests a ticket for scopes, in short or full form, separated by blanks. codeChallenge is an optional PKCE S256
// challenge: then only who holds the verifier can redeem the ticket. An *uma.Error tells which scopes are wrong
// (invalid_scope) or that the link does not exist (not_found).
func Ask(ctx context.Context, c *http.Client, contextURL, scopes, codeChallenge string) (Ticket, error) {
	form := url.Values{"scope": {scopes}}
	if codeChallenge != "" {
		form.Set("code_challenge", codeChallenge)
		form.Set("code_challenge_method", "S256")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, contextURL+"/authorize", strings.NewReader(form.Encode()))
	if err != nil {
		return Ticket{}, fmt.Errorf("ask: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var t Ticket
	if err := send(c, req, http.StatusUnauthorized, &t); err != nil {
		return Ticket{}, fmt.Errorf("ask: %w", err)
	}
	if t.ASURI == "" || t.Ticket == "" {
		return Ticket{}, errors.New("ask: answered without a ticket")
	}
	return t, nil
}

// LaunchContext is what an authorized app learns about its context URL.
type LaunchContext struct {
	FHIRBase          string `json:"fhir_base"`
	Level             Level  `json:"level"`
	Patient           string `json:"patient,omitempty"`
	NeedPatientBanner bool   `json:"need_patient_banner"`
}

// Launch reads the launch context with an RPT for this context.
func Launch(ctx context.Context, c *http.Client, contextURL, rpt string) (LaunchContext, error) {
	return launch(ctx, c, contextURL, uma.TokenTypeBearer, rpt)
}

// LaunchBound is Launch with an RPT that is bound to a DPoP key: c is a client of Bound with that key.
func LaunchBound(ctx context.Context, c *http.Client, contextURL, rpt string) (LaunchContext, error) {
	return launch(ctx, c, contextURL, uma.TokenTypeDPoP, rpt)
}

// Bound returns a client whose every request proves that it holds key (RFC 9449). Tickets and codes redeemed through it give
// tokens that are worth nothing without the key; they are sent as "Authorization: DPoP token".
func Bound(c *http.Client, key *pop.Key) *http.Client {
	bound := *c
	bound.Transport = &pop.Transport{Key: key, Base: c.Transport}
	return &bound
}

func launch(ctx context.Context, c *http.Client, contextURL, scheme, rpt string) (LaunchContext, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, contextURL, nil)
	if err != nil {
		return LaunchContext{}, fmt.Errorf("launch: %w", err)
	}
	req.Header.Set("Authorization", scheme+" "+rpt)
	var l LaunchContext
	if err := send(c, req, http.StatusOK, &l); err != nil {
		return LaunchContext{}, fmt.Errorf("launch: %w", err)
	}
	return l, nil
}

const maxAnswer = 64 << 10

func send(c *http.Client, req *http.Request, want int, into any) error {
	req.Header.Set("Accept", "application/json")
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return err
	}
	if res.StatusCode != want {
		e := &uma.Error{}
		if json.Unmarshal(raw, e) == nil && e.Code != "" {
			e.Status = res.StatusCode
			return e
		}
		return fmt.Errorf("status %d, want %d", res.StatusCode, want)
	}
	return json.Unmarshal(raw, into)
}
