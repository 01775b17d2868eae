package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/umaas/umaas/fhir"
	"github.com/umaas/umaas/resourceserver"
)

// capability is the gateway's own CapabilityStatement: what the upstream offers and the judge can follow, nothing else (GW-41).
type capability struct {
	upstream resourceserver.Upstream
	base     string
	now      func() time.Time

	mu   sync.Mutex
	made time.Time
	body []byte
}

const capabilityLife = time.Minute

func (c *capability) statement(ctx context.Context) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.body != nil && c.now().Sub(c.made) < capabilityLife {
		return c.body, nil
	}
	resp, err := c.upstream.Do(ctx, resourceserver.UpstreamRequest{Method: http.MethodGet, Path: "metadata"})
	if err != nil {
		return nil, err
	}
	if resp.Status != http.StatusOK {
		return nil, fmt.Errorf("%w: status %d for metadata", resourceserver.ErrUpstream, resp.Status)
	}
	var theirs statement
	if err := json.Unmarshal(resp.Body, &theirs); err != nil || theirs.ResourceType != "CapabilityStatement" {
		return nil, fmt.Errorf("%w: metadata is no CapabilityStatement", resourceserver.ErrUpstream)
	}
	body, err := json.Marshal(c.intersect(theirs))
	if err != nil {
		return nil, fmt.Errorf("write capability statement: %w", err)
	}
	c.body, c.made = body, c.now()
	return body, nil
}

type statement struct {
	ResourceType   string          `json:"resourceType"`
	Status         string          `json:"status"`
	Date           string          `json:"date"`
	Kind           string          `json:"kind"`
	Software       *software       `json:"software,omitempty"`
	Implementation *implementation `json:"implementation,omitempty"`
	FHIRVersion    string          `json:"fhirVersion"`
	Format         []string        `json:"format"`
	PatchFormat    []string        `json:"patchFormat,omitempty"`
	Rest           []rest          `json:"rest,omitempty"`
}

type software struct {
	Name string `json:"name"`
}

type implementation struct {
	Description string `json:"description"`
	URL         string `json:"url"`
}

type rest struct {
	Mode        string         `json:"mode"`
	Security    *security      `json:"security,omitempty"`
	Resource    []restResource `json:"resource,omitempty"`
	Interaction []code         `json:"interaction,omitempty"`
}

type security struct {
	CORS        bool      `json:"cors"`
	Service     []concept `json:"service"`
	Description string    `json:"description"`
}

type concept struct {
	Coding []coding `json:"coding,omitempty"`
	Text   string   `json:"text,omitempty"`
}

type coding struct {
	System string `json:"system"`
	Code   string `json:"code"`
}

type code struct {
	Code string `json:"code"`
}

type restResource struct {
	Type              string        `json:"type"`
	Profile           string        `json:"profile,omitempty"`
	Interaction       []code        `json:"interaction,omitempty"`
	Versioning        string        `json:"versioning,omitempty"`
	ConditionalCreate bool          `json:"conditionalCreate"`
	ConditionalUpdate bool          `json:"conditionalUpdate"`
	ConditionalDelete string        `json:"conditionalDelete,omitempty"`
	UpdateCreate      bool          `json:"updateCreate"`
	SearchInclude     []string      `json:"searchInclude,omitempty"`
	SearchRevInclude  []string      `json:"searchRevInclude,omitempty"`
	SearchParam       []searchParam `json:"searchParam,omitempty"`
	Operation         []operation   `json:"operation,omitempty"`
}

type searchParam struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type operation struct {
	Name       string `json:"name"`
	Definition string `json:"definition"`
}

const everythingDefinition = "http://hl7.org/fhir/OperationDefinition/Patient-everything"

func (c *capability) intersect(theirs statement) statement {
	ours := statement{
		ResourceType: "CapabilityStatement", Status: "active", Date: c.now().UTC().Format("2006-01-02"), Kind: "instance",
		Software:       &software{"umaas"},
		Implementation: &implementation{"FHIR R4 under the control of the people the data is about (UMA 2.0)", c.base},
		FHIRVersion:    theirs.FHIRVersion, Format: []string{"application/fhir+json", "json"},
	}
	out := rest{Mode: "server", Security: &security{
		CORS: true, Description: "Bearer tokens of UMA 2.0 or SMART App Launch. A refusal carries a permission ticket.",
		Service: []concept{{Coding: []coding{{"http://terminology.hl7.org/CodeSystem/restful-security-service", "SMART-on-FHIR"}}}, {Text: "UMA 2.0"}},
	}}
	for _, r := range theirs.Rest {
		if r.Mode != "server" {
			continue
		}
		for _, i := range r.Interaction {
			switch fhir.Interaction(i.Code) {
			case fhir.Batch, fhir.Transaction, fhir.HistorySystem:
				out.Interaction = append(out.Interaction, i)
			default:
			}
		}
		for _, res := range r.Resource {
			if kept, ok := intersectResource(res); ok {
				out.Resource = append(out.Resource, kept)
				if hasCode(kept.Interaction, fhir.Patch) {
					ours.PatchFormat = []string{"application/json-patch+json"}
				}
			}
		}
	}
	// Batches are taken apart and performed here, whatever the upstream offers.
	if !hasCode(out.Interaction, fhir.Batch) {
		out.Interaction = append(out.Interaction, code{string(fhir.Batch)})
	}
	ours.Rest = []rest{out}
	return ours
}

func intersectResource(theirs restResource) (restResource, bool) {
	read, write := resourceserver.Guardable(theirs.Type)
	if !read {
		return restResource{}, false
	}
	ours := restResource{Type: theirs.Type, Profile: theirs.Profile, Versioning: theirs.Versioning}
	versioned := theirs.Versioning == "versioned" || theirs.Versioning == "versioned-update"
	for _, i := range theirs.Interaction {
		switch fhir.Interaction(i.Code) {
		case fhir.Read, fhir.VRead, fhir.HistoryInstance, fhir.HistoryType, fhir.SearchType:
		case fhir.Create:
			if !write {
				continue
			}
		case fhir.Update, fhir.Delete:
			if !write || !versioned { // the judged version must be the written one (GW-49)
				continue
			}
		default:
			continue
		}
		ours.Interaction = append(ours.Interaction, i)
	}
	searches := hasCode(ours.Interaction, fhir.SearchType)
	ours.ConditionalCreate = searches && hasCode(ours.Interaction, fhir.Create)
	if hasCode(ours.Interaction, fhir.Update) {
		ours.Interaction = append(ours.Interaction, code{string(fhir.Patch)}) // applied here, written as an update (GW-31)
		ours.ConditionalUpdate = searches
	}
	if searches && hasCode(ours.Interaction, fhir.Delete) {
		ours.ConditionalDelete = "single"
	}
	for _, p := range theirs.SearchParam {
		if known, ok := fhir.Param(theirs.Type, p.Name); ok && string(known.Kind) == p.Type {
			ours.SearchParam = append(ours.SearchParam, p)
		}
	}
	ours.SearchInclude = theirs.SearchInclude
	ours.SearchRevInclude = theirs.SearchRevInclude
	for _, o := range theirs.Operation {
		if theirs.Type == "Patient" && o.Name == "everything" {
			ours.Operation = append(ours.Operation, operation{"everything", everythingDefinition})
		}
	}
	return ours, len(ours.Interaction) > 0
}

func hasCode(list []code, want fhir.Interaction) bool {
	return slices.ContainsFunc(list, func(c code) bool { return c.Code == string(want) })
}
