package demo

import (
	"encoding/json"
	"net/http"
	"net/url"
)

// entry is one row of a search result, for the page.
type entry struct{ Text, When string }

type clinicPage struct {
	Hospital     string
	Notice       string
	Connected    bool
	Waiting      bool
	Asked        string
	Allergies    []entry
	AllergyState string // "some", "none", "not shared", "unreachable"
	Exchanges    []Exchange
}

// page shows where the visit stands.
func (c *Clinic) page(w http.ResponseWriter, r *http.Request) {
	p := clinicPage{Hospital: Organizations[0].Name, Asked: Scopes}
	if v, ok := c.visit(r); ok {
		p.Notice, p.Connected, p.Waiting = v.notice, v.process.RPT != "", v.process.Waiting
		v.notice = ""
		if p.Connected {
			c.allergies(r, v, &p)
		}
		c.mu.Lock()
		p.Exchanges = append(p.Exchanges, v.exchanges...)
		c.mu.Unlock()
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := c.pages.ExecuteTemplate(w, "clinic.html", p); err != nil {
		http.Error(w, "page", http.StatusInternalServerError)
	}
}

func (c *Clinic) allergies(r *http.Request, v *visit, p *clinicPage) {
	status, body, err := c.appFor(v).FHIR(r.Context(), http.MethodGet, v.launch.FHIRBase+"/AllergyIntolerance?patient="+url.QueryEscape(v.launch.Patient), v.process.RPT, nil)
	var bundle struct {
		Entry []struct {
			Resource struct {
				Type         string `json:"resourceType"`
				RecordedDate string `json:"recordedDate"`
				Code         struct {
					Text   string `json:"text"`
					Coding []struct {
						Display string `json:"display"`
					} `json:"coding"`
				} `json:"code"`
			} `json:"resource"`
		} `json:"entry"`
	}
	switch {
	case err != nil:
		p.AllergyState = "unreachable"
		return
	case status != http.StatusOK || json.Unmarshal(body, &bundle) != nil:
		p.AllergyState = "not shared"
		return
	}
	p.AllergyState = "none"
	for _, e := range bundle.Entry {
		if e.Resource.Type != "AllergyIntolerance" {
			continue
		}
		text := e.Resource.Code.Text
		if text == "" && len(e.Resource.Code.Coding) > 0 {
			text = e.Resource.Code.Coding[0].Display
		}
		p.AllergyState = "some"
		p.Allergies = append(p.Allergies, entry{Text: text, When: e.Resource.RecordedDate})
	}
}
