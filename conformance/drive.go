package conformance

import (
	"net/url"
	"slices"
	"strings"
)

const (
	mostPages  = 15 // of one interaction
	mostRepeat = 3  // of one step: a sign-in that is refused shows the same form again
)

// Drive fills in the pages that come as the profile's steps say, for a person, until the browser has left the server or no
// step matches. purposes choose among the steps ("gather" and "cancel", for example).
func (b *Browser) Drive(who Person, purposes ...string) *Page {
	return b.steps(b.t.env.Profile.Pages, b.t.env.values(who), "", purposes)
}

// SignIn drives the login forms alone.
func (b *Browser) SignIn(who Person) *Page {
	var login []Step
	for _, s := range b.t.env.Profile.Pages {
		if slices.ContainsFunc(s.Inputs, func(n string) bool {
			return strings.Contains(s.Fill[n], "{{password}}") || strings.Contains(s.Fill[n], "{{login}}")
		}) {
			login = append(login, s)
		}
	}
	return b.steps(login, b.t.env.values(who), "", []string{"gather", "pat", "code", "home"})
}

// steps runs a list of steps; it ends early when the page says done.
func (b *Browser) steps(list []Step, values map[string]string, done string, purposes []string) *Page {
	taken := map[string]int{}
	for range mostPages {
		p := b.Page
		if p == nil || p.Left != nil || done != "" && strings.Contains(p.Text, done) {
			return p
		}
		i, form := match(list, p, values, purposes)
		if i < 0 {
			return p
		}
		if taken[list[i].Name]++; taken[list[i].Name] > mostRepeat {
			return p
		}
		b.apply(list[i], form, values)
	}
	return b.Page
}

// match finds the first step that fits a page, with its form; -1 when none does.
func match(list []Step, p *Page, values map[string]string, purposes []string) (int, Form) {
	for i, s := range list {
		if len(s.For) > 0 && !slices.ContainsFunc(s.For, func(f string) bool { return slices.Contains(purposes, f) }) {
			continue
		}
		if s.Link != "" {
			if len(followable(p, fill(s.Link, values))) > 0 {
				return i, Form{}
			}
			continue
		}
		if s.Text != "" && !strings.Contains(p.Text, fill(s.Text, values)) {
			continue
		}
		for _, f := range p.Forms {
			if s.fits(f) {
				return i, f
			}
		}
	}
	return -1, Form{}
}

func (s Step) fits(f Form) bool {
	if slices.ContainsFunc(s.Inputs, func(n string) bool { return !f.Has(n) }) {
		return false
	}
	if s.Button == "" {
		return true
	}
	_, ok := f.Button(s.Button)
	return ok
}

func followable(p *Page, part string) []string {
	var out []string
	for _, l := range p.Links {
		if strings.Contains(l, part) && !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	return out
}

// mostLinks are tried in search of the page that says what a step wants.
const mostLinks = 60

func (b *Browser) apply(s Step, f Form, values map[string]string) {
	if s.Link != "" {
		for i, l := range followable(b.Page, fill(s.Link, values)) {
			if p := b.Open(l); i >= mostLinks || p.Left != nil || strings.Contains(p.Text, fill(s.Text, values)) {
				return
			}
		}
		return
	}
	fields := url.Values{}
	for name, value := range s.Fill {
		fields.Set(name, fill(value, values))
	}
	if s.Tick != "" {
		for _, in := range f.Inputs {
			if in.Kind != "checkbox" || !strings.Contains(in.Heading, fill(s.Under, values)) {
				continue
			}
			if _, known := fields[in.Name]; !known {
				fields[in.Name] = nil
			}
			if s.Tick == "all" || s.Tick == "scopes" && names(in, values["scopes"]) {
				fields[in.Name] = append(fields[in.Name], in.Value)
			}
		}
	}
	press := s.Press
	if press == "" {
		press = s.Button
	}
	b.Submit(f, fields, fill(press, values))
}

// names tells whether a checkbox stands for one of the scopes: by its value or as a word of its label.
func names(in Input, scopes string) bool {
	for _, s := range strings.Fields(scopes) {
		if in.Value == s || slices.Contains(strings.FieldsFunc(in.Label, func(r rune) bool { return strings.ContainsRune(" ,:;()\"“”'", r) }), s) {
			return true
		}
	}
	return false
}

// values are what page steps may fill in for a person.
func (e *Env) values(who Person) map[string]string {
	return map[string]string{
		"issuer": e.Issuer, "login": who.Login, "password": who.Password, "sub": who.Sub, "name": who.Name, "email": who.Email,
	}
}

// fill replaces {{name}}; unknown names stay, so that a mistake is seen.
func fill(text string, values map[string]string) string {
	if !strings.Contains(text, "{{") {
		return text
	}
	var b strings.Builder
	for {
		before, after, open := strings.Cut(text, "{{")
		b.WriteString(before)
		name, rest, closed := strings.Cut(after, "}}")
		switch {
		case !open:
			return b.String()
		case !closed:
			b.WriteString("{{" + after)
			return b.String()
		}
		if v, ok := values[strings.TrimSpace(name)]; ok {
			b.WriteString(v)
		} else {
			b.WriteString("{{" + name + "}}")
		}
		text = rest
	}
}
