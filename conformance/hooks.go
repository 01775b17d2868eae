package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
)

// ErrNoHook says that the profile has no way to do what was asked; the check is skipped.
var ErrNoHook = errors.New("the profile has no hook for this")

func hookError(err error, n Need) error {
	if errors.Is(err, ErrNoHook) {
		return lacking{fmt.Sprintf("needs %s: %v", n.Words(), err)}
	}
	return err
}

// profileHooks are the hooks a profile describes.
type profileHooks struct{ env *Env }

func (h *profileHooks) how(action string) *HookHow {
	s := &h.env.Profile.Hooks
	switch action {
	case "permit":
		return s.Permit
	case "revoke":
		return s.Revoke
	case "approve":
		return s.Approve
	case "deny":
		return s.Deny
	case "pat":
		return s.PAT
	case "claim-token":
		return s.ClaimToken
	case "gather":
		return s.Gather
	default:
		return nil
	}
}

// Hook implements Hooks.
func (h *profileHooks) Hook(ctx context.Context, q HookRequest) (HookAnswer, error) {
	how := h.how(q.Action)
	var a HookAnswer
	var err error
	switch {
	case how == nil:
		return a, fmt.Errorf("%w: hooks.%s", ErrNoHook, strings.ReplaceAll(q.Action, "-", "_"))
	case len(how.Command) > 0:
		a, err = h.command(ctx, how.Command, q)
	case len(how.HTTP) > 0:
		a, err = h.calls(ctx, how.HTTP, q)
	case how.Open != "":
		a, err = h.pages(ctx, *how, q)
	default:
		return a, fmt.Errorf("%w: hooks.%s says neither command, http nor open", ErrNoHook, q.Action)
	}
	if err == nil && a.Error != "" {
		err = errors.New(a.Error)
	}
	if err != nil {
		return a, fmt.Errorf("the profile's hook %s: %w", q.Action, err)
	}
	return a, nil
}

func (h *profileHooks) command(ctx context.Context, argv []string, q HookRequest) (HookAnswer, error) {
	in, err := json.Marshal(q) //nolint:gosec // a hook acts for people of a test system and gets what it needs
	if err != nil {
		return HookAnswer{}, err
	}
	var out, said bytes.Buffer
	c := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // the profile names the command: that is what a hook is
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(in), &out, &said
	if err := c.Run(); err != nil {
		return HookAnswer{}, fmt.Errorf("%s: %w: %s", argv[0], err, clip(fold(said.String()), 300))
	}
	var a HookAnswer
	if len(bytes.TrimSpace(out.Bytes())) == 0 {
		return a, nil
	}
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		return a, fmt.Errorf("%s printed no JSON answer: %w", argv[0], err)
	}
	return a, nil
}

// values are what a hook's templates may hold.
func (q HookRequest) values() map[string]string {
	return map[string]string{
		"issuer": q.Issuer, "owner": q.Owner, "owner_sub": q.OwnerSub, "owner_name": q.OwnerName, "password": q.Password, "pat": q.PAT, "rs": q.RS,
		"rs_secret": q.RSSecret, "resource_id": q.ResourceID, "resource_name": q.ResourceName, "scopes": strings.Join(q.Scopes, " "),
		"party": q.Party, "party_sub": q.PartySub, "party_password": q.PartyPassword, "client": q.Client, "client_secret": q.ClientSecret,
		"seconds": strconv.Itoa(q.Seconds), "id": q.ID, "login": q.Owner, "url": q.URL,
	}
}

func (h *profileHooks) calls(ctx context.Context, calls []HookCall, q HookRequest) (HookAnswer, error) {
	values := q.values()
	for i, c := range calls {
		if err := h.call(ctx, c, q, values); err != nil {
			return HookAnswer{}, fmt.Errorf("call %d: %w", i+1, err)
		}
	}
	a := HookAnswer{Token: values["token"], Redirect: values["redirect"]}
	if values["id"] != q.ID {
		a.ID = values["id"]
	}
	return a, nil
}

func (h *profileHooks) call(ctx context.Context, c HookCall, q HookRequest, values map[string]string) error {
	body, kind, err := c.body(q, values)
	if err != nil {
		return err
	}
	method := c.Method
	if method == "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, fill(c.URL, values), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if c.Bearer != "" {
		req.Header.Set("Authorization", "Bearer "+fill(c.Bearer, values))
	}
	if id, secret, ok := strings.Cut(fill(c.Basic, values), ":"); ok {
		req.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	}
	for name, value := range c.Header {
		req.Header.Set(name, fill(value, values))
	}
	x := &Exchange{Label: "hook"}
	h.env.send(ctx, req, x)
	if x.Err != nil || x.Status < 200 || x.Status > 299 {
		return fmt.Errorf("%s %s: %s", method, shortURL(req.URL.String()), told(x))
	}
	return c.keep(x, values)
}

func (c HookCall) body(q HookRequest, values map[string]string) ([]byte, string, error) {
	switch {
	case c.JSON != nil:
		raw, err := json.Marshal(fillTree(c.JSON, q, values))
		return raw, "application/json", err
	case c.Form != nil:
		form := url.Values{}
		for name, value := range c.Form {
			form.Set(name, fill(value, values))
		}
		return []byte(form.Encode()), "application/x-www-form-urlencoded", nil
	default:
		return nil, "", nil
	}
}

// fillTree fills in the strings of a JSON template. The one string "{{scopes}}" becomes the list of scopes.
func fillTree(v any, q HookRequest, values map[string]string) any {
	switch v := v.(type) {
	case string:
		switch v {
		case "{{scopes}}":
			return q.Scopes
		case "{{seconds}}":
			return q.Seconds
		}
		return fill(v, values)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = fillTree(v[i], q, values)
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for name, inner := range v {
			out[name] = fillTree(inner, q, values)
		}
		return out
	default:
		return v
	}
}

func (c HookCall) keep(x *Exchange, values map[string]string) error {
	if len(c.Keep) == 0 {
		return nil
	}
	var whole any
	if err := json.Unmarshal(x.Body, &whole); err != nil {
		return fmt.Errorf("the answer is no JSON: %w", err)
	}
	for name, path := range c.Keep {
		v, ok := member(whole, strings.Split(fill(path, values), "."))
		if !ok {
			return fmt.Errorf("the answer has no member %s", path)
		}
		values[name] = v
	}
	return nil
}

func member(v any, path []string) (string, bool) {
	for _, step := range path {
		switch inner := v.(type) {
		case map[string]any:
			v = inner[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(inner) {
				return "", false
			}
			v = inner[i]
		default:
			return "", false
		}
	}
	switch v := v.(type) {
	case string:
		return v, true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case bool:
		return strconv.FormatBool(v), true
	default:
		return "", false
	}
}

// pages drives the server's own pages as the owner. What is sent stays out of the check's result.
func (h *profileHooks) pages(ctx context.Context, how HookHow, q HookRequest) (HookAnswer, error) {
	side := &T{ctx: ctx, env: h.env}
	var a HookAnswer
	if !side.guard(ctx, func() { // a page that does not come ends it
		who := side.person(q.OwnerName)
		b := h.env.browserOf(side, who)
		values := q.values()
		values["name"], values["email"] = who.Name, who.Email
		values["party_email"] = h.env.emailOf(q.Party)
		b.Open(fill(how.Open, values))
		done := fill(how.Done, values)
		list := append(how.Pages[:len(how.Pages):len(how.Pages)], h.env.Profile.Pages...)
		page := b.steps(list, values, done, []string{"hook", "home"})
		if done != "" && !strings.Contains(page.Text, done) || page.Exchange.Status >= http.StatusBadRequest {
			side.Errorf("the pages came to a stop at %s", stopped(page))
			return
		}
		if _, after, ok := strings.Cut(page.URL.String(), how.IDAfter); ok && how.IDAfter != "" {
			a.ID, _, _ = strings.Cut(after, "?")
		}
		h.env.remember(who, b)
	}) {
		return HookAnswer{}, errors.New("the pages took too long")
	}
	if side.failed || side.skipped || side.blocked {
		return a, errors.New(strings.Join(side.messages, "; "))
	}
	return a, nil
}

// emailOf is the address of the person who signs in by that name.
func (e *Env) emailOf(login string) string {
	for name, p := range e.Profile.People {
		if p.Login == login && p.Email == "" {
			return name + "@conformance.example"
		} else if p.Login == login {
			return p.Email
		}
	}
	return ""
}

func clip(s string, most int) string {
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
