package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// Visitor is a person with a browser, as far as forms and links go: it keeps cookies, follows redirects, fills in forms by
// their names and presses buttons by their words. The demo uses it to take the steps a person would take, over real HTTP.
type Visitor struct {
	Name string
	http *http.Client
	stop string // a redirect to this origin is not followed: the app's turn
	Page Page
}

// Page is where the visitor is.
type Page struct {
	URL    *url.URL
	Status int
	Text   string // visible text, folded
	Forms  []Form
	Links  []string
	Left   string // the redirect that was not followed
}

// Form is one form of a page with what it would post.
type Form struct {
	Method, Action string
	Fields         url.Values          // what is filled in or ticked already
	Ticks          map[string][]string // checkboxes: name → values
	Choices        map[string][]string // radio buttons: name → values
	Labels         map[string]string   // tick value → label text
	Buttons        []Button
}

// Button submits a form.
type Button struct{ Name, Value, Text string }

// NewVisitor starts an empty browser that stays out of stop's origin.
func NewVisitor(name, stop string, transport http.RoundTripper) (*Visitor, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, fmt.Errorf("cookie jar: %w", err)
	}
	v := &Visitor{Name: name, stop: stop}
	v.http = &http.Client{Jar: jar, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return v, nil
}

// Open goes to an address.
func (v *Visitor) Open(ctx context.Context, target string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	return v.travel(req)
}

const mostRedirects = 20

func (v *Visitor) travel(req *http.Request) error {
	for range mostRedirects {
		if v.stop != "" && strings.HasPrefix(req.URL.String()+"/", v.stop+"/") {
			v.Page = Page{URL: req.URL, Left: req.URL.String()}
			return nil
		}
		req.Header.Set("Accept", "text/html")
		res, err := v.http.Do(req)
		if err != nil {
			return fmt.Errorf("%s: %w", v.Name, err)
		}
		body, err := io.ReadAll(io.LimitReader(res.Body, answerLimit))
		_ = res.Body.Close() // read to its end above
		if err != nil {
			return fmt.Errorf("%s: read page: %w", v.Name, err)
		}
		if res.StatusCode < 300 || res.StatusCode >= 400 {
			return v.arrive(req.URL, res.StatusCode, string(body))
		}
		next, err := req.URL.Parse(res.Header.Get("Location"))
		if err != nil {
			return fmt.Errorf("%s: redirect: %w", v.Name, err)
		}
		if req, err = http.NewRequestWithContext(req.Context(), http.MethodGet, next.String(), nil); err != nil {
			return fmt.Errorf("%s: redirect: %w", v.Name, err)
		}
	}
	return errors.New("too many redirects")
}

func (v *Visitor) arrive(at *url.URL, status int, body string) error {
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: page: %w", v.Name, err)
	}
	p := Page{URL: at, Status: status, Text: text(root)}
	each(root, "form", func(n *html.Node) { p.Forms = append(p.Forms, form(n)) })
	each(root, "a", func(n *html.Node) { p.Links = append(p.Links, attr(n, "href")) })
	v.Page = p
	if status >= 400 {
		return fmt.Errorf("%s: %s answered %d: %s", v.Name, hideQuery(at.String()), status, clip(p.Text, 200))
	}
	return nil
}

// Has reports whether the page offers a button whose words begin so.
func (v *Visitor) Has(button string) bool {
	_, _, ok := v.find(button)
	return ok
}

func (v *Visitor) find(words string) (Form, Button, bool) {
	for _, f := range v.Page.Forms {
		for _, b := range f.Buttons {
			if strings.HasPrefix(b.Text, words) {
				return f, b, true
			}
		}
	}
	return Form{}, Button{}, false
}

// Press fills in those of fields that the form has, ticks the boxes whose labels begin with one of ticks, and presses the button.
func (v *Visitor) Press(ctx context.Context, button string, fields map[string]string, ticks ...string) error {
	f, b, ok := v.find(button)
	if !ok {
		return fmt.Errorf("%s: no button “%s” on %s: %s", v.Name, button, hideQuery(v.Page.URL.String()), clip(v.Page.Text, 300))
	}
	values := url.Values{}
	for name, list := range f.Fields {
		values[name] = append([]string(nil), list...)
	}
	for name, value := range fields {
		if f.Fields.Has(name) || slices.Contains(f.Choices[name], value) {
			values.Set(name, value)
		}
	}
	for _, want := range ticks {
		if !tick(f, values, want) {
			return fmt.Errorf("%s: nothing to tick that begins with “%s”: %s", v.Name, want, clip(v.Page.Text, 400))
		}
	}
	if b.Name != "" {
		values.Set(b.Name, b.Value)
	}
	action, err := v.Page.URL.Parse(f.Action)
	if err != nil {
		return fmt.Errorf("%s: form: %w", v.Name, err)
	}
	if strings.EqualFold(f.Method, http.MethodGet) {
		action.RawQuery = values.Encode()
		return v.Open(ctx, action.String())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, action.String(), strings.NewReader(values.Encode()))
	if err != nil {
		return fmt.Errorf("%s: form: %w", v.Name, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", v.Page.URL.Scheme+"://"+v.Page.URL.Host)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return v.travel(req)
}

// Follow takes the first link of the page below a path.
func (v *Visitor) Follow(ctx context.Context, below string) error {
	for _, l := range v.Page.Links {
		to, err := v.Page.URL.Parse(l)
		if err == nil && strings.HasPrefix(to.Path, below) && len(to.Path) > len(below) {
			return v.Open(ctx, to.String())
		}
	}
	return fmt.Errorf("%s: no link below %s on %s: %s", v.Name, below, v.Page.URL.Path, clip(v.Page.Text, 300))
}

// asks reports a field of this name on the page.
func (v *Visitor) asks(field string) bool {
	return slices.ContainsFunc(v.Page.Forms, func(f Form) bool { return f.Fields.Has(field) })
}

// Forward takes the one step that needs no decision: signing in, letting the hospital protect the record, choosing the
// own record.
func (v *Visitor) Forward(ctx context.Context, who Credential) error {
	switch {
	case v.Page.Left != "":
		return fmt.Errorf("%s left for %s", v.Name, hideQuery(v.Page.Left))
	case v.asks("password"):
		return v.Press(ctx, "Sign in", map[string]string{"login": who.Login, "password": who.Password})
	case v.Has("Sign in"):
		return v.Press(ctx, "Sign in", nil)
	case v.Has("Let it protect"):
		return v.Press(ctx, "Let it protect", nil)
	case v.Has("Continue"): // the questions to somebody who asks for another's record
		return v.Press(ctx, "Continue", map[string]string{"purpose": "PATRQT"})
	case v.Has("Connect"):
		return v.Press(ctx, "Connect", map[string]string{"patient": who.Patient})
	}
	return fmt.Errorf("%s does not know what to do on %s: %s", v.Name, v.Page.URL.Path, clip(v.Page.Text, 300))
}

// Settle goes forward until the app has its turn.
func (v *Visitor) Settle(ctx context.Context, who Credential) error {
	for range 10 {
		if v.Page.Left != "" {
			return nil
		}
		if err := v.Forward(ctx, who); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s goes round in circles at %s", v.Name, v.Page.URL.Path)
}

func tick(f Form, values url.Values, want string) bool {
	for name, list := range f.Ticks {
		for _, value := range list {
			if strings.HasPrefix(f.Labels[value], want) {
				values.Add(name, value)
				return true
			}
		}
	}
	return false
}

func form(n *html.Node) Form {
	f := Form{Method: attr(n, "method"), Action: attr(n, "action"), Fields: url.Values{}, Ticks: map[string][]string{}, Choices: map[string][]string{}, Labels: map[string]string{}}
	labels := map[string]string{}
	each(n, "label", func(l *html.Node) { labels[attr(l, "for")] = text(l) })
	each(n, "input", func(i *html.Node) { f.input(i, labels) })
	each(n, "textarea", func(i *html.Node) { f.Fields.Set(attr(i, "name"), text(i)) })
	each(n, "select", func(s *html.Node) {
		each(s, "option", func(o *html.Node) {
			if f.Fields.Get(attr(s, "name")) == "" || has(o, "selected") {
				f.Fields.Set(attr(s, "name"), attr(o, "value"))
			}
		})
	})
	each(n, "button", func(b *html.Node) {
		f.Buttons = append(f.Buttons, Button{attr(b, "name"), attr(b, "value"), text(b)})
	})
	return f
}

func (f *Form) input(i *html.Node, labels map[string]string) {
	name, value := attr(i, "name"), attr(i, "value")
	switch attr(i, "type") {
	case "checkbox":
		f.Ticks[name] = append(f.Ticks[name], value)
		label := text(i.Parent) // a label around the box, or one that points to it
		if id := attr(i, "id"); id != "" && labels[id] != "" {
			label = labels[id]
		}
		f.Labels[value] = label
		if has(i, "checked") {
			f.Fields.Add(name, value)
		}
	case "radio":
		f.Choices[name] = append(f.Choices[name], value)
		if has(i, "checked") {
			f.Fields.Set(name, value)
		}
	case "submit":
		f.Buttons = append(f.Buttons, Button{name, value, value})
	default:
		if name != "" {
			f.Fields.Set(name, value)
		}
	}
}

func each(n *html.Node, tag string, fn func(*html.Node)) {
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && d.Data == tag {
			fn(d)
		}
	}
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && d.Parent.Data != "style" && d.Parent.Data != "script" {
			b.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
