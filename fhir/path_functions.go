package fhir

type typeExpr struct {
	on  expr
	typ string
	is  bool
}

func (e typeExpr) eval(c *evalContext, focus []node) []node {
	list := e.on.eval(c, focus)
	if e.is {
		if len(list) != 1 {
			return nil
		}
		return boolean(hasType(list[0], e.typ))
	}
	var out []node
	for _, n := range list {
		if hasType(n, e.typ) {
			n.typ = e.typ
			out = append(out, n)
		}
	}
	return out
}

type whereExpr struct{ on, criteria expr }

func (e whereExpr) eval(c *evalContext, focus []node) []node {
	var out []node
	for _, n := range e.on.eval(c, focus) {
		if truth(e.criteria.eval(c, []node{n})) == yes {
			out = append(out, n)
		}
	}
	return out
}

type existsExpr struct {
	on      expr
	negated bool
}

func (e existsExpr) eval(c *evalContext, focus []node) []node {
	return boolean(len(e.on.eval(c, focus)) > 0 != e.negated)
}

type resolveExpr struct{ on expr }

func (e resolveExpr) eval(c *evalContext, focus []node) []node {
	var out []node
	for _, n := range e.on.eval(c, focus) {
		text, hint := referenceText(n.value)
		f, ok := ParseReference(text)
		if !ok {
			continue
		}
		switch {
		case f.Contained && f.Fragment == "":
			out = append(out, node{c.resource.tree, c.resource.typ, c.resource.typ})
		case f.Contained:
			if m := c.containedByID(f.Fragment); m != nil {
				out = append(out, newNode(m, "", ""))
			}
		case f.Type != "":
			out = append(out, node{map[string]any{"reference": text}, f.Type, ""})
		case IsType(hint):
			out = append(out, node{map[string]any{"reference": text}, hint, ""})
		}
	}
	return out
}

// referenceText gives the literal of a Reference or a canonical, and Reference.type.
func referenceText(v any) (text, hint string) {
	switch v := v.(type) {
	case string:
		return v, ""
	case map[string]any:
		text, _ = v["reference"].(string)
		hint, _ = v["type"].(string)
	}
	return text, hint
}

type extensionExpr struct {
	on  expr
	url string
}

func (e extensionExpr) eval(c *evalContext, focus []node) []node {
	var out []node
	for _, n := range e.on.eval(c, focus) {
		m, _ := n.value.(map[string]any)
		list, _ := m["extension"].([]any)
		for _, entry := range list {
			if x, ok := entry.(map[string]any); ok && x["url"] == e.url {
				out = append(out, node{x, "Extension", "extension"})
			}
		}
	}
	return out
}
