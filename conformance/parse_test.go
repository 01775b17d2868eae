package conformance

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const form = `<html><head><title>A  page</title><base href="/deep/"><style>p{}</style></head><body><h1>Who</h1>
<form id="f" method="POST" action="do?x=1"><input type="hidden" name="csrf" value="t"><label for="l">Your name</label><input id="l" name="login" value="al">
<input type=password name="pw"><h2>What</h2><label><input type=checkbox name=s value=view> See <b>view</b></label><input type=checkbox name=s value=print checked>
<input type=checkbox name=bare checked><input type=radio name=r value=1><input type=radio name=r value=2 checked><select name=sel><option>one<option value=2>two</select>
<select name=sel2><option value=a><option value=b selected></select><select name=none><option value="">Choose<option value=c></select><textarea name=note> words </textarea><input name=off value=x disabled>
<button name=go value=yes>Go on</button><button type=button name=no>No</button><input type=submit name=sub value=Submit formaction="/other" formmethod="get"></form>
<input name=outside form=f value=o><a href="../up">up</a><a>none</a><form><input name=q></form><script>bad()</script></body></html>`

func page(t *testing.T, body string) *Page {
	t.Helper()
	at, err := url.Parse("https://as.example/a/b")
	if err != nil {
		t.Fatal(err)
	}
	return readPage(at, &Exchange{Status: 200, Header: http.Header{"Content-Type": {"text/html"}}, Body: []byte(body)})
}

func TestReadPage(t *testing.T) {
	p := page(t, form)
	if p.Title != "A page" || len(p.Forms) != 2 || !slices.Equal(p.Links, []string{"https://as.example/up"}) || strings.Contains(p.Text, "bad()") {
		t.Fatalf("%+v", p)
	}
	f := p.Forms[0]
	want := url.Values{
		"csrf": {"t"}, "login": {"al"}, "pw": {""}, "s": {"print"}, "bare": {"on"}, "r": {"2"}, "sel": {"one"}, "sel2": {"b"}, "none": {""}, "note": {"words"}, "outside": {"o"},
	}
	if f.Fields.Encode() != want.Encode() || f.Method != "POST" || f.Action != "https://as.example/deep/do?x=1" {
		t.Errorf("%+v", f)
	}
	if len(f.Buttons) != 2 || f.Buttons[1].Action != "https://as.example/other" || f.Buttons[1].Method != "GET" {
		t.Errorf("%+v", f.Buttons)
	}
	for _, in := range f.Inputs {
		if in.Name == "login" && (in.Label != "Your name" || in.Heading != "Who") || in.Value == "view" && (in.Label != "See view" || in.Heading != "What") {
			t.Errorf("%+v", in)
		}
	}
	for want, found := range map[string]bool{"go": true, "go=yes": true, "go=no": false, "yes": true, "Go": true, "go on": true, "": false, "no": false, "Submit": true} {
		if _, ok := f.Button(want); ok != found {
			t.Errorf("button %q: %v", want, ok)
		}
	}
	if _, ok := p.Find("login", "pw"); !ok {
		t.Error("the login form is not found")
	}
	if _, ok := p.Find("login", "q"); ok {
		t.Error("a form of two halves is found")
	}
}

// The first step that fits is taken; steps for other purposes are passed over.
func TestMatch(t *testing.T) {
	p := page(t, form)
	steps := []Step{
		{Name: "other", For: []string{"pat"}, Inputs: []string{"login"}},
		{Name: "says", Inputs: []string{"login"}, Text: "nowhere"},
		{Name: "link", Link: "{{sub}}/nowhere"},
		{Name: "in", For: []string{"gather", "code"}, Inputs: []string{"login", "pw"}, Button: "go=yes"},
		{Name: "late", Inputs: []string{"q"}},
	}
	if i, f := match(steps, p, nil, []string{"gather"}); i != 3 || f.ID != "f" {
		t.Errorf("step %d", i)
	}
	if i, _ := match(steps, p, nil, []string{"pat"}); i != 0 {
		t.Errorf("step %d", i)
	}
	if i, _ := match(steps[1:3], p, map[string]string{"sub": "x"}, nil); i != -1 {
		t.Errorf("step %d", i)
	}
	if i, _ := match([]Step{{Name: "link", Link: "/{{sub}}"}}, p, map[string]string{"sub": "up"}, nil); i != 0 {
		t.Errorf("step %d", i)
	}
}

// FuzzReadPage: a server's pages are hostile; reading them gives a page or less, never a panic, and all addresses absolute.
func FuzzReadPage(f *testing.F) {
	f.Add(form)
	f.Add(`<form><form><input name=a form=x><select name=b><option><optgroup></select>`)
	f.Add(`<base href="%"><a href="://"><form action="http://[">`)
	f.Fuzz(func(t *testing.T, body string) {
		p := page(t, body)
		for _, l := range p.Links {
			if u, err := url.Parse(l); err != nil || !u.IsAbs() {
				t.Errorf("link %q", l)
			}
		}
		for _, form := range p.Forms {
			if u, err := url.Parse(form.Action); err != nil || !u.IsAbs() || form.Method != "GET" && form.Method != "POST" {
				t.Errorf("form %q %q", form.Method, form.Action)
			}
		}
		match([]Step{{Name: "x", Inputs: []string{"a"}, Button: "b"}}, p, nil, nil)
	})
}

// FuzzChallenges: a header line is hostile too.
func FuzzChallenges(f *testing.F) {
	f.Add(`UMA realm="x", as_uri="https://a", ticket="t"`)
	f.Add(`Basic, Bearer a=b c="d`)
	f.Add(`=,"`)
	f.Fuzz(func(t *testing.T, line string) {
		for _, c := range parseChallenges(line) {
			if c.Scheme == "" || c.Params == nil || strings.ContainsAny(c.Scheme, " ,=\"") {
				t.Errorf("%q: %+v", line, c)
			}
		}
	})
}

// Secrets never stay whole in what is kept, wherever they stand; equal ones keep equal marks.
func TestShorten(t *testing.T) {
	const secret = "abcdefghijklmnopqrstuvwxyz0123456789"
	x := shorten(&Exchange{
		Label: "l", Status: 200,
		Header: http.Header{
			"Set-Cookie": {"sid=" + secret + "; HttpOnly"}, "Location": {"https://c.example/cb?code=" + secret + "&state=s#frag"},
			"Content-Type": {"application/json"}, "Www-Authenticate": {`UMA realm="r", ticket="` + secret + `"`},
		},
		Body: []byte(`{"access_token":"` + secret + `","list":[{"ticket":"` + secret + `"}],"redirect_user":"https://as.example/c?ticket=` + secret + `","client_secret":"` + secret + `","n":12345678901234567890}`),
		Request: Message{
			Method: "POST", URL: "https://as.example/t?ticket=" + secret, Body: []byte("password=p&rpt=" + secret + "&other=o&grant_type=a%3Ab"),
			Header: http.Header{"Authorization": {"Basic " + secret}, "Cookie": {"a=" + secret}, "Content-Type": {"application/x-www-form-urlencoded"}},
		},
	})
	all := headerText(x.Header) + headerText(x.Request.Header) + string(x.Body) + x.Request.URL + string(x.Request.Body)
	if strings.Contains(all, secret) || strings.Contains(all, "password=p&") {
		t.Errorf("%s", all)
	}
	for _, want := range []string{"sid=[hidden]; HttpOnly", "state=s#frag", "12345678901234567890", "grant_type=a%3Ab", "other=o", "password=[hidden]", Short(secret)} {
		if !strings.Contains(all, want) {
			t.Errorf("%s is missing in %s", want, all)
		}
	}
	if Short(secret) == Short(secret+"x") || Short("short") != "short" {
		t.Error("marks do not tell values apart")
	}
	page := shorten(&Exchange{Header: http.Header{"Content-Type": {"text/html"}}, Body: []byte(`<input value="` + secret + `"><a href="/x?ticket=` + secret + `">` + strings.Repeat("x", 2*keptBody))})
	if strings.Contains(string(page.Body), secret) || len(page.Body) > keptBody+100 {
		t.Errorf("%.200s", page.Body)
	}
}

func headerText(h http.Header) string {
	var b strings.Builder
	for n, v := range h {
		b.WriteString(n + ": " + strings.Join(v, "\n") + "\n")
	}
	return b.String()
}

// FuzzShorten: a password in a form does not survive, whatever stands around it, and what is kept is text.
func FuzzShorten(f *testing.F) {
	f.Add("a=b&c", "application/x-www-form-urlencoded")
	f.Add(`{"a":[{"ticket":1}]}`, "application/json")
	f.Add("\xff%zz&=&", "text/html")
	f.Fuzz(func(t *testing.T, around, kind string) {
		const secret = "correct-horse-battery-staple"
		h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
		if got := shortBody(h, []byte(strings.ReplaceAll(around, secret, "")+"&password="+secret)); strings.Contains(string(got), secret) {
			t.Errorf("%s", got)
		}
		if got := shortBody(http.Header{"Content-Type": {kind}}, []byte(around)); !utf8.Valid(got) {
			t.Errorf("%q", got)
		}
		if !utf8.ValidString(Short(strings.ToValidUTF8(around, ""))) {
			t.Errorf("%q", Short(around))
		}
	})
}

func TestFill(t *testing.T) {
	v := map[string]string{"a": "1", "b": "{{a}}"}
	for in, want := range map[string]string{"x{{a}}y{{ a }}": "x1y1", "{{b}}": "{{a}}", "{{c}}": "{{c}}", "{{a": "{{a", "}}{{": "}}{{", "": ""} {
		if got := fill(in, v); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestMember(t *testing.T) {
	v := map[string]any{"a": []any{map[string]any{"b": "x"}, 2.0}, "t": true}
	for path, want := range map[string]string{"a.0.b": "x", "a.1": "2", "t": "true", "a.2": "", "a.x": "", "a": "", "q": "", "t.t": ""} {
		if got, _ := member(v, strings.Split(path, ".")); got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
}
