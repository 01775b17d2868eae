package store

import (
	"net/http"
	"sync"

	"github.com/umaas/umaas/fhir"
)

// capability keeps the CapabilityStatement, made at first use: it depends on nothing but the tables and the options.
type capability struct {
	once sync.Once
	body []byte
}

type codeOnly struct {
	Code string `json:"code"`
}

type capabilityParam struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type capabilityOperation struct {
	Name       string `json:"name"`
	Definition string `json:"definition"`
}

type capabilityResource struct {
	Type              string                `json:"type"`
	Interaction       []codeOnly            `json:"interaction"`
	Versioning        string                `json:"versioning"`
	ReadHistory       bool                  `json:"readHistory"`
	UpdateCreate      bool                  `json:"updateCreate"`
	ConditionalCreate bool                  `json:"conditionalCreate"`
	ConditionalRead   string                `json:"conditionalRead"`
	ConditionalUpdate bool                  `json:"conditionalUpdate"`
	ConditionalDelete string                `json:"conditionalDelete"`
	ReferencePolicy   []string              `json:"referencePolicy"`
	SearchInclude     []string              `json:"searchInclude,omitempty"`
	SearchParam       []capabilityParam     `json:"searchParam"`
	Operation         []capabilityOperation `json:"operation,omitempty"`
}

// capabilities answers GET /metadata (http.html#capabilities).
func (s *Store) capabilities(_ *txn, req *request) (reply, error) {
	for _, p := range req.pairs {
		if p.Name == "mode" && p.Value != "full" {
			return reply{}, notSupported("mode=%s is not supported, only full", clip(p.Value))
		}
	}
	s.caps.once.Do(func() { s.caps.body = s.capabilityStatement() })
	return reply{status: http.StatusOK, body: s.caps.body}, nil
}

func (s *Store) capabilityStatement() []byte {
	codes := func(names ...fhir.Interaction) []codeOnly {
		out := make([]codeOnly, len(names))
		for i, n := range names {
			out[i].Code = string(n)
		}
		return out
	}
	var resources []capabilityResource
	for _, typ := range fhir.Types() {
		if fhir.ClassOf(typ) == fhir.ClassNotStored {
			continue
		}
		r := capabilityResource{
			Type: typ, Versioning: "versioned-update", ReadHistory: true, UpdateCreate: s.opts.UpdateAsCreate, ConditionalCreate: true,
			Interaction: codes(fhir.Read, fhir.VRead, fhir.Update, fhir.Patch, fhir.Delete, fhir.HistoryInstance, fhir.HistoryType,
				fhir.Create, fhir.SearchType),
			ConditionalRead: "full-support", ConditionalUpdate: true, ConditionalDelete: "single", ReferencePolicy: []string{"literal", "local"},
		}
		for _, p := range fhir.Params(typ) {
			if !searchable(p.Kind) || p.Expression == "" {
				continue
			}
			r.SearchParam = append(r.SearchParam, capabilityParam{p.Code, string(p.Kind)})
			if p.Kind == "reference" {
				r.SearchInclude = append(r.SearchInclude, typ+":"+p.Code)
			}
		}
		if typ == "Patient" {
			r.Operation = []capabilityOperation{{"everything", "http://hl7.org/fhir/OperationDefinition/Patient-everything"}}
		}
		resources = append(resources, r)
	}
	return mustJSON(map[string]any{
		"resourceType": "CapabilityStatement", "status": "active", "date": s.opts.Now().UTC().Format("2006-01-02"), "kind": "instance",
		"fhirVersion": "4.0.1", "format": []string{mediaFHIR, mediaJSON}, "patchFormat": []string{mediaPatch},
		"implementation": map[string]string{"description": "umaas embedded FHIR server", "url": s.base},
		"rest": []any{map[string]any{
			"mode": "server", "resource": resources,
			"interaction": codes(fhir.Transaction, fhir.Batch, fhir.SearchSystem, fhir.HistorySystem),
			"compartment": []string{"http://hl7.org/fhir/CompartmentDefinition/patient"},
		}},
	})
}

func searchable(k fhir.ParamKind) bool { return k != "composite" && k != "special" }
