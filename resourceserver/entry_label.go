package resourceserver

import (
	"strings"

	"github.com/umaas/umaas/fhir"
)

// Code systems of security labels (LB-01). Others are kept and ignored.
const (
	systemConfidentiality = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
	systemActCode         = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
)

// confidentiality is the order U < L < M < N < R < V. An unknown code of the system counts as V (LB-01, LB-02).
func confidentiality(code string) int {
	if i := strings.Index("ULMNRV", code); i >= 0 && len(code) == 1 {
		return i
	}
	return len("ULMNRV") - 1
}

// sensitivities are the codes of v3-ActCode that mark sensitive information (LB-04). Other codes of that system are obligations
// and purposes and restrict nothing here.
const sensitivities = " ETH PSY GDIS HIV SCA SOC SDV SEX STD DEMO DOB GENDER LIVARG MARST RACE REL B EMPL LOCIS SSP ADOL CEL DIA DIAG DRGIS EMP" +
	" SPI BH COGN DVD EMOTDIS MH SUD ETHUD OPIOIDUD SUBSTUD ABORT ALC AMBS DCD DOM FOODS HEDIS IDS INFA ISD LEGAL LIFES MED MENCAT PHY PID PREGNANT SUICIDE TBOO VIO WT "

// labelRight is what an entry may see of labelled data: the ceiling of its conf/ scopes, N without one, and the sens/ codes
// (LB-02, LB-03). Label scopes count in their own permission only (LB-05).
type labelRight struct {
	ceiling int
	codes   map[string]bool
}

func newLabelRight() labelRight { return labelRight{ceiling: confidentiality("N")} }

// add takes a label scope; false where the text is none.
func (l *labelRight) add(text string) bool {
	if code, ok := strings.CutPrefix(text, "conf/"); ok {
		if code == "N" || code == "R" || code == "V" {
			l.ceiling = max(l.ceiling, confidentiality(code))
		}
		return true
	}
	if code, ok := strings.CutPrefix(text, "sens/"); ok {
		if l.codes == nil {
			l.codes = map[string]bool{}
		}
		l.codes[aliasOf(code)] = true
		return true
	}
	return text == "btg" // alone it grants nothing (LB-08)
}

// aliasOf spells HEART's DIAG as R4 does (LB-04).
func aliasOf(code string) string {
	if code == "DIAG" {
		return "DIA"
	}
	return code
}

// admits compares a resource's labels. Unlabelled data is N.
func (l *labelRight) admits(r *fhir.Resource) bool {
	for _, c := range labelsOf(r) {
		switch c.system {
		case systemConfidentiality:
			switch c.code { // older releases kept four sensitivities here (LB-04)
			case "ETH", "HIV", "PSY", "SDV":
				if !l.codes[c.code] {
					return false
				}
				continue
			}
			if confidentiality(c.code) > l.ceiling {
				return false
			}
		case systemActCode:
			if strings.Contains(sensitivities, " "+c.code+" ") && !l.codes[aliasOf(c.code)] {
				return false
			}
		}
	}
	return true
}

type label struct{ system, code string }

// labelsOf collects meta.security, DocumentReference.securityLabel and Composition.confidentiality (LB-01).
func labelsOf(r *fhir.Resource) []label {
	tree := r.Map()
	meta, _ := tree["meta"].(map[string]any)
	labels := appendCodings(nil, meta["security"])
	switch r.Type() {
	case "DocumentReference":
		concepts, _ := tree["securityLabel"].([]any)
		for _, c := range concepts {
			concept, _ := c.(map[string]any)
			labels = appendCodings(labels, concept["coding"])
		}
	case "Composition":
		if code, ok := tree["confidentiality"].(string); ok {
			labels = append(labels, label{systemConfidentiality, code})
		}
	}
	return labels
}

func appendCodings(labels []label, codings any) []label {
	list, _ := codings.([]any)
	for _, c := range list {
		coding, _ := c.(map[string]any)
		system, _ := coding["system"].(string)
		code, _ := coding["code"].(string)
		labels = append(labels, label{system, code})
	}
	return labels
}

// sameLabels reports whether a write leaves labels and tags as they are (GW-32).
func sameLabels(before, after *fhir.Resource) bool {
	return sameCounts(append(labelsOf(before), tagsOf(before)...), append(labelsOf(after), tagsOf(after)...))
}

// onlyRestricts reports whether the labels of a new resource restrict at most (GW-32): none says less than N, and there is no
// access tag.
func onlyRestricts(r *fhir.Resource) bool {
	for _, l := range labelsOf(r) {
		if l.system == systemConfidentiality && confidentiality(l.code) < confidentiality("N") {
			return false
		}
	}
	return true
}

func tagsOf(r *fhir.Resource) []label {
	meta, _ := r.Map()["meta"].(map[string]any)
	return appendCodings(nil, meta["tag"])
}

func sameCounts(a, b []label) bool {
	if len(a) != len(b) {
		return false
	}
	count := map[label]int{}
	for _, l := range a {
		count[l]++
	}
	for _, l := range b {
		count[l]--
		if count[l] < 0 {
			return false
		}
	}
	return true
}
