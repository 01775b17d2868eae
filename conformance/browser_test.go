package conformance_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/umaas/umaas/conformance"
)

// verified checks a JWT as a careful server does: ES256 alone, with the published key.
func verified(raw string, set map[string]any) (map[string]any, error) {
	text, err := json.Marshal(set)
	if err != nil {
		return nil, err
	}
	keys, err := jwk.Parse(text)
	if err != nil {
		return nil, err
	}
	key, _ := keys.Key(0)
	payload, err := jws.Verify([]byte(raw), jws.WithKey(jwa.ES256, key))
	if err != nil {
		return nil, err
	}
	var claims map[string]any
	return claims, json.Unmarshal(payload, &claims)
}

// site is a server with a sign-in page, a page of its own and a way out.
func site(w http.ResponseWriter, r *http.Request) {
	signedIn := false
	if c, err := r.Cookie("sid"); err == nil {
		signedIn = c.Value == "al" || c.Value == "bo"
	}
	html := func(body string) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(body))
	}
	switch {
	case r.URL.Path == "/loop":
		http.Redirect(w, r, "/loop", http.StatusFound)
	case r.Method == http.MethodPost && r.URL.Path == "/in":
		if r.PostFormValue("password") != "pw" || r.Header.Get("Origin") == "" {
			html(`<form method=post action=/in><input name=login><input name=password type=password></form>wrong`)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: r.PostFormValue("login"), HttpOnly: true})
		http.Redirect(w, r, "/page", http.StatusSeeOther)
	case !signedIn:
		html(`<form method=post action=/in><input name=login><input name=password type=password></form>`)
	case r.Method == http.MethodPost && r.URL.Path == "/page":
		http.Redirect(w, r, "https://client.example/cb?"+url.Values{"s": r.PostForm["s"], "answer": {r.PostFormValue("answer")}}.Encode(), http.StatusFound)
	case r.URL.Path == "/list":
		html(`<a href="/item/1">one</a><a href="/item/2">two</a>`)
	case strings.HasPrefix(r.URL.Path, "/item/"):
		html(`<h1>Item ` + strings.TrimPrefix(r.URL.Path, "/item/") + `</h1>`)
	default:
		html(`<h2>Mine</h2><form method=post action=/page><input type=checkbox name=s value=view><h2>Yours</h2><input type=checkbox name=s value=print><button name=answer value=yes>Yes</button></form>`)
	}
}

// A browser signs in, ticks what it is told and stops where the server sends it away; its copy stays signed in.
func TestBrowser(t *testing.T) {
	s, p := server(t, func(w http.ResponseWriter, r *http.Request) { _ = r.ParseForm(); site(w, r) })
	p.Pages = []conformance.Step{
		{Name: "in", Inputs: []string{"login", "password"}, Fill: map[string]string{"login": "{{login}}", "password": "{{password}}"}},
		{Name: "page", For: []string{"gather"}, Button: "answer=yes", Tick: "all", Under: "Yours"},
	}
	env := environ(t, p, conformance.Options{})
	run := conformance.Execute(t.Context(), env, []conformance.Check{
		one("drive", func(t *conformance.T) {
			b := t.NewBrowser()
			b.Open(s.URL + "/page")
			page := b.Drive(t.Party(conformance.Bob), "gather")
			if page.Left == nil || page.Left.String() != "https://client.example/cb?answer=yes&s=print" {
				t.Fatalf("%+v", page)
			}
			if b.Copy().Open(s.URL+"/page").Text == "" || len(b.Cookies(s.URL)) != 1 {
				t.Errorf("the copy is not signed in")
			}
			if t.NewBrowser().Open(s.URL + "/page").Forms[0].Action != s.URL+"/in" {
				t.Errorf("a new browser is signed in")
			}
		}),
		one("refused", func(t *conformance.T) {
			b := t.NewBrowser()
			b.Open(s.URL + "/page")
			who := t.Party(conformance.Bob)
			who.Password = "another"
			if page := b.SignIn(who); page.Left != nil || !strings.Contains(page.Text, "wrong") {
				t.Errorf("%+v", page)
			}
		}),
		one("loop", func(t *conformance.T) { t.NewBrowser().Open(s.URL + "/loop") }),
	}, conformance.RunOptions{})
	for i, want := range []conformance.Verdict{conformance.Pass, conformance.Pass, conformance.Blocked} {
		if r := run.Results[i]; r.Verdict != want {
			t.Errorf("%s: %s %v", r.Check.ID, r.Verdict, r.Messages)
		}
	}
	for _, x := range run.Results[0].Exchanges {
		if strings.Contains(string(x.Request.Body), "pw") || strings.Contains(x.Request.Header.Get("Cookie"), "bo") {
			t.Errorf("kept: %s %v", x.Request.Body, x.Request.Header)
		}
	}
}

// Pages as a hook: links are followed until the page is the right one, the id is read off the address, a stop is told.
func TestPageHooks(t *testing.T) {
	_, p := server(t, func(w http.ResponseWriter, r *http.Request) { _ = r.ParseForm(); site(w, r) })
	p.Pages = []conformance.Step{{Name: "in", Inputs: []string{"login", "password"}, Fill: map[string]string{"login": "{{login}}", "password": "{{password}}"}}}
	follow := []conformance.Step{{Name: "open", Link: "/item/", Text: "Item {{resource_name}}"}, {Name: "list", For: []string{"gather"}, Link: "x"}}
	p.Hooks.Permit = &conformance.HookHow{Open: "{{issuer}}/list", Pages: follow, IDAfter: "/item/", Done: "Item 2"}
	p.Hooks.Revoke = &conformance.HookHow{Open: "{{issuer}}/item/1", Done: "Item 2"}
	env := environ(t, p, conformance.Options{})
	// /list is opened signed out first: the sign-in leads to /page, so the owner signs in there before.
	run := conformance.Execute(t.Context(), env, []conformance.Check{one("home", func(t *conformance.T) {
		b := t.SignIn(conformance.Alice)
		b.Open(env.Issuer + "/page")
		b.SignIn(t.Owner(conformance.Alice))
		env.Remember(t.Owner(conformance.Alice), b)
	})}, conformance.RunOptions{})
	if run.Results[0].Verdict != conformance.Pass {
		t.Fatal(run.Results[0].Messages)
	}
	q := conformance.HookRequest{Action: "permit", Issuer: env.Issuer, OwnerName: conformance.Alice, Owner: "al", Password: "pw", ResourceName: "2"}
	if a, err := env.Hook(t.Context(), q); err != nil || a.ID != "2" {
		t.Errorf("%+v %v", a, err)
	}
	q.Action = "revoke"
	if _, err := env.Hook(t.Context(), q); err == nil || !strings.Contains(err.Error(), "Item 1") {
		t.Errorf("%v", err)
	}
}
