package conformance

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// readPage reads an HTML answer; anything else is a page without forms whose text is the body.
func readPage(at *url.URL, x *Exchange) *Page {
	p := &Page{Exchange: x, URL: at}
	if !strings.Contains(x.MediaType(), "html") {
		p.Text = fold(string(x.Body))
		return p
	}
	root, err := html.Parse(bytes.NewReader(x.Body))
	if err != nil {
		p.Text = fold(string(x.Body))
		return p
	}
	r := pageReader{page: p, base: at, labels: map[string]string{}}
	each(root, func(n *html.Node) {
		switch n.Data {
		case "base":
			if u, err := at.Parse(attr(n, "href")); err == nil && attr(n, "href") != "" {
				r.base = u
			}
		case "title":
			p.Title = words(n)
		case "label":
			if id := attr(n, "for"); id != "" {
				r.labels[id] = words(n)
			}
		}
	})
	each(root, r.node)
	p.Text = words(root)
	return p
}

type pageReader struct {
	page    *Page
	base    *url.URL
	labels  map[string]string
	heading string
}

func (r *pageReader) node(n *html.Node) {
	switch n.Data {
	case "h1", "h2", "h3", "h4", "h5", "h6":
		r.heading = words(n)
	case "a":
		if u, err := r.base.Parse(attr(n, "href")); err == nil && has(n, "href") {
			r.page.Links = append(r.page.Links, u.String())
		}
	case "form":
		f := Form{Method: strings.ToUpper(attr(n, "method")), Action: r.base.String(), ID: attr(n, "id"), Fields: url.Values{}}
		if f.Method != http.MethodPost {
			f.Method = http.MethodGet
		}
		if u, err := r.base.Parse(attr(n, "action")); err == nil && attr(n, "action") != "" {
			f.Action = u.String()
		}
		r.page.Forms = append(r.page.Forms, f)
	case "input", "button", "select", "textarea":
		if f := r.owner(n); f != nil && !has(n, "disabled") {
			r.control(f, n)
		}
	}
}

// owner is the form a control belongs to: the one its form attribute names, or the one around it.
func (r *pageReader) owner(n *html.Node) *Form {
	forms := r.page.Forms
	if id := attr(n, "form"); id != "" {
		for i := range forms {
			if forms[i].ID == id {
				return &forms[i]
			}
		}
		return nil
	}
	for up := n.Parent; up != nil; up = up.Parent {
		if up.Type == html.ElementNode && up.Data == "form" && len(forms) > 0 {
			return &forms[len(forms)-1] // forms do not nest, and this one began last
		}
	}
	return nil
}

func (r *pageReader) control(f *Form, n *html.Node) {
	name, value, kind := attr(n, "name"), attr(n, "value"), strings.ToLower(attr(n, "type"))
	in := Input{Name: name, Value: value, Kind: kind, ID: attr(n, "id"), Label: r.label(n), Heading: r.heading}
	switch {
	case n.Data == "button" && kind != "button" && kind != "reset", n.Data == "input" && (kind == "submit" || kind == "image"):
		b := Button{Name: name, Value: value, Text: words(n), ID: in.ID, Method: strings.ToUpper(attr(n, "formmethod"))}
		if n.Data == "input" {
			b.Text = value
		}
		if u, err := r.base.Parse(attr(n, "formaction")); err == nil && attr(n, "formaction") != "" {
			b.Action = u.String()
		}
		f.Buttons = append(f.Buttons, b)
	case name == "" || n.Data == "button" || kind == "button" || kind == "reset" || kind == "file":
	case n.Data == "select":
		r.options(f, n, in)
	case n.Data == "textarea":
		in.Kind, in.Value = "textarea", words(n)
		f.Inputs = append(f.Inputs, in)
		f.Fields.Add(name, in.Value)
	case kind == "checkbox" || kind == "radio":
		if !has(n, "value") {
			in.Value = "on"
		}
		f.Inputs = append(f.Inputs, in)
		if has(n, "checked") {
			f.Fields.Add(name, in.Value)
		}
	default:
		if kind != "hidden" {
			f.Inputs = append(f.Inputs, in)
		}
		f.Fields.Add(name, value)
	}
}

func (r *pageReader) options(f *Form, n *html.Node, in Input) {
	in.Kind = "select"
	first, found, chosen := "", false, false
	each(n, func(o *html.Node) {
		if o.Data != "option" {
			return
		}
		in.Value, in.Label = attr(o, "value"), words(o)
		if !has(o, "value") {
			in.Value = in.Label
		}
		f.Inputs = append(f.Inputs, in)
		if !found { // a browser sends the first one, also where its value is empty
			first, found = in.Value, true
		}
		if has(o, "selected") {
			f.Fields.Add(in.Name, in.Value)
			chosen = true
		}
	})
	if !chosen && !has(n, "multiple") {
		f.Fields.Add(in.Name, first)
	}
}

func (r *pageReader) label(n *html.Node) string {
	if l := r.labels[attr(n, "id")]; l != "" && attr(n, "id") != "" {
		return l
	}
	for up := n.Parent; up != nil; up = up.Parent {
		if up.Type == html.ElementNode && up.Data == "label" {
			return words(up)
		}
	}
	return ""
}

func each(n *html.Node, visit func(*html.Node)) {
	if n.Type == html.ElementNode {
		visit(n)
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		each(c, visit)
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

// words is the visible text below a node.
func words(n *html.Node) string {
	var b strings.Builder
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		switch {
		case n.Type == html.TextNode:
			b.WriteString(n.Data)
			b.WriteByte(' ')
		case n.Type == html.ElementNode && (n.Data == "script" || n.Data == "style" || n.Data == "template"):
			return
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(n)
	return fold(b.String())
}

func fold(s string) string { return strings.Join(strings.Fields(s), " ") }
