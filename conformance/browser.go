package conformance

import (
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
)

// Browser is a person with a browser as far as plain HTML goes: it keeps cookies, follows redirects inside the server
// under test, fills in forms by the names of their inputs and presses buttons. It runs no scripts. It stops where a
// redirect leaves the issuer's origin: that is the client's turn.
type Browser struct {
	t    *T
	jar  *cookiejar.Jar
	Page *Page // where it is; nil before the first Open
}

// Page is one answer that a browser shows, or the redirect out of the server that it did not follow.
type Page struct {
	Exchange *Exchange
	URL      *url.URL
	Left     *url.URL // the redirect that left the server; then the rest is empty
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

// Input is one input of a form.
type Input struct {
	Name, Value, Kind, ID, Label string // Kind: "text", "password", "checkbox", "radio", "select", …
}

// Button submits a form.
type Button struct{ Name, Value, Text, ID string }

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
