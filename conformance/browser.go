package conformance

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Browser is a person with a browser as far as plain HTML goes: it keeps cookies, follows redirects inside the server
// under test, fills in forms by the names of their inputs and presses buttons. It runs no scripts. It stops where a
// redirect leaves the issuer's origin: that is the client's turn.
type Browser struct {
	t    *T
	jar  *jar
	Page *Page // where it is; nil before the first Open

	onStep func(b *Browser, f Form, fields url.Values)
	origin string // of the page that posts; "": the issuer's
}

// Page is one answer that a browser shows, or the redirect out of the server that it did not follow.
type Page struct {
	Exchange *Exchange
	URL      *url.URL
	Left     *url.URL // the redirect that left the server; Forms and Links are empty then
	Title    string
	Text     string // visible text, white space folded
	Forms    []Form
	Links    []string // absolute
}

// Form is one form of a page with what it would post as it stands.
type Form struct {
	Method  string // "GET" or "POST"
	Action  string // absolute
	ID      string
	Fields  url.Values // filled in, ticked or chosen already; hidden ones too
	Inputs  []Input    // all named inputs that a person can change
	Buttons []Button
}

// Input is one input of a form. Kind is the type of an input element ("text", "password", "checkbox", "radio", …),
// "select" with one Input per option, or "textarea". Heading is the heading it stands under.
type Input struct{ Name, Value, Kind, ID, Label, Heading string }

// Button submits a form; Action and Method stand for its own where it has them.
type Button struct{ Name, Value, Text, ID, Action, Method string }

// Find gives the first form that has all the named inputs, hidden ones included.
func (p *Page) Find(names ...string) (Form, bool) {
	for _, f := range p.Forms {
		if !slices.ContainsFunc(names, func(n string) bool { return !f.Has(n) }) {
			return f, true
		}
	}
	return Form{}, false
}

// Has tells whether the form has a field of this name.
func (f Form) Has(name string) bool {
	if _, ok := f.Fields[name]; ok {
		return true
	}
	return slices.ContainsFunc(f.Inputs, func(i Input) bool { return i.Name == name })
}

// Button finds a button by name=value, by name, by value, by id or by how its text begins.
func (f Form) Button(want string) (Button, bool) {
	name, value, both := strings.Cut(want, "=")
	for _, b := range f.Buttons {
		switch {
		case both && b.Name == name && b.Value == value, !both && want != "" && (b.Name == want || b.Value == want || b.ID == want),
			!both && want != "" && strings.HasPrefix(strings.ToLower(b.Text), strings.ToLower(want)):
			return b, true
		}
	}
	return Button{}, false
}

func newBrowser(t *T) *Browser { return &Browser{t: t, jar: newJar()} }

// Copy is another browser of the same person, with the same cookies as now.
func (b *Browser) Copy() *Browser { return &Browser{t: b.t, jar: b.jar.copy()} }

// Cookies are the cookies the browser would send to an address.
func (b *Browser) Cookies(to string) []*http.Cookie {
	u, err := url.Parse(to)
	if err != nil {
		return nil
	}
	return b.jar.cookies(u)
}

// Open goes to an address and follows redirects inside the server.
func (b *Browser) Open(target string) *Page {
	return b.travel(http.MethodGet, target, nil, "")
}

// PostFrom posts a form to an address as a page of origin would make this browser do, and follows redirects inside the
// server, as browsers do.
func (b *Browser) PostFrom(origin, target string, fields url.Values) *Page {
	b.origin = origin
	defer func() { b.origin = "" }()
	return b.travel(http.MethodPost, target, []byte(fields.Encode()), "application/x-www-form-urlencoded")
}

// Submit sends a form: fields replace what the form holds (a nil value leaves the field out), and press names the button;
// "" presses the first one that has a name, as the Enter key would.
func (b *Browser) Submit(f Form, fields url.Values, press string) *Page {
	form := url.Values{}
	for name, values := range f.Fields {
		form[name] = slices.Clone(values)
	}
	for name, values := range fields {
		if values == nil {
			delete(form, name)
			continue
		}
		form[name] = slices.Clone(values)
	}
	method, action := f.Method, f.Action
	button, ok := f.Button(press)
	if !ok && press == "" && len(f.Buttons) > 0 {
		button, ok = f.Buttons[0], true
	}
	if ok {
		if button.Name != "" {
			form.Set(button.Name, button.Value)
		}
		if button.Action != "" {
			action = button.Action
		}
		if button.Method != "" {
			method = button.Method
		}
	}
	if b.onStep != nil {
		b.onStep(b, Form{Method: method, Action: action, ID: f.ID, Fields: f.Fields, Inputs: f.Inputs, Buttons: f.Buttons}, form)
	}
	if method == http.MethodGet {
		u, err := url.Parse(action)
		if err != nil {
			b.t.Blockf("a form's action is no address: %v", err)
		}
		u.RawQuery = form.Encode()
		return b.travel(http.MethodGet, u.String(), nil, "")
	}
	return b.travel(http.MethodPost, action, []byte(form.Encode()), "application/x-www-form-urlencoded")
}

const mostRedirects = 20

// travel makes one request and follows where it leads.
func (b *Browser) travel(method, target string, body []byte, kind string) *Page {
	origin, _ := url.Parse(b.t.env.Issuer)
	at, err := url.Parse(target)
	if err != nil {
		b.t.Blockf("a browser cannot go to %q: %v", shortURL(target), err)
	}
	var previous string
	for range mostRedirects {
		h := http.Header{"Accept": {"text/html,application/xhtml+xml,*/*;q=0.8"}, "Accept-Language": {"en"}}
		if kind != "" {
			h.Set("Content-Type", kind)
			h.Set("Origin", cmp.Or(b.origin, origin.Scheme+"://"+origin.Host))
		}
		if previous != "" {
			h.Set("Referer", previous)
		}
		for _, c := range b.jar.cookies(at) {
			h.Add("Cookie", c.Name+"="+c.Value)
		}
		if lines := h.Values("Cookie"); len(lines) > 1 {
			h.Set("Cookie", strings.Join(lines, "; "))
		}
		x := b.t.Request(method, at.String(), body, h)
		if x.Err != nil {
			b.t.Blockf("the browser got no answer from %s: %v", shortURL(at.String()), x.Err)
		}
		b.jar.take(at, x.Header)
		next := x.Location()
		if x.Status < 300 || x.Status >= 400 || next == nil {
			b.Page = readPage(at, x)
			return b.Page
		}
		if next.Scheme != origin.Scheme || next.Host != origin.Host {
			b.Page = &Page{Exchange: x, URL: at, Left: next}
			return b.Page
		}
		previous = originOf(at)
		if x.Status != http.StatusTemporaryRedirect && x.Status != http.StatusPermanentRedirect {
			method, body, kind = http.MethodGet, nil, ""
		}
		at = next
	}
	b.t.Blockf("more than %d redirects in a row, the last to %s", mostRedirects, shortURL(at.String()))
	return nil
}

func originOf(u *url.URL) string { return u.Scheme + "://" + u.Host + "/" }
