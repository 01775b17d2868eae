package web

import (
	"net/url"
	"slices"
	"strings"

	"github.com/umaas/umaas/umaas"
)

// principal is the person for whom somebody acts on a page (PG-17). She stands in the address, /for/{id}/…, and nowhere else, so
// that two windows never mix two people (UI-11); the core judges each act anew.
type principal struct {
	ID     umaas.AccountID
	Name   string
	Rights []umaas.DelegatedRight
}

// May reports a right, for what a page offers.
func (p *principal) May(right string) bool {
	return p == nil || slices.Contains(p.Rights, umaas.DelegatedRight(right))
}

// forSomebody admits who may act for the owner in the address. Everybody else gets what an unknown address gets (TX-20).
func (s *Site) forSomebody(h page) page {
	return s.signedIn(func(v *visit) error {
		list, err := s.Service.ActingFor(v.Request.Context(), v.person.ID)
		if err != nil {
			return err
		}
		for _, d := range list {
			if string(d.Owner) != v.Param("owner") {
				continue
			}
			if v.principal == nil {
				v.principal = &principal{ID: d.Owner, Name: d.OwnerName}
			}
			for _, right := range d.Rights {
				if !slices.Contains(v.principal.Rights, right) {
					v.principal.Rights = append(v.principal.Rights, right)
				}
			}
		}
		if v.principal == nil {
			return errNoPage
		}
		return h(v)
	})
}

// owner is whose record and sharing a page is about.
func (v *visit) owner() umaas.AccountID {
	if v.principal != nil {
		return v.principal.ID
	}
	return v.person.ID
}

// acts is the signed-in person at work on the page's owner.
func (v *visit) acts() umaas.Acting { return v.site.Service.Acting(v.person.ID, v.owner()) }

// me is where the pages of the page's owner begin.
func (v *visit) me() string {
	if v.principal != nil {
		return "/for/" + url.PathEscape(string(v.principal.ID))
	}
	return "/me"
}

// worded turns the owner's "your" into words for who acts for her.
func (v *visit) worded(views []umaas.RecordView) []umaas.RecordView {
	if v.principal == nil {
		return views
	}
	out := slices.Clone(views)
	for i := range out {
		out[i].Items = slices.Clone(out[i].Items)
		for j := range out[i].Items {
			item := &out[i].Items[j]
			item.Words, item.Long = others(item.Words), "" // the long text speaks to the owner
		}
	}
	return out
}

func others(words string) string {
	return strings.TrimPrefix(strings.ReplaceAll(" "+words, " your ", " their "), " ")
}
