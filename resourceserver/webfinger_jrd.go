package resourceserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/umaas/umaas/resourceserver/asclient"
)

// jrd is a JSON Resource Descriptor (RFC 7033 §4.4), as far as it is read here.
type jrd struct {
	Subject string    `json:"subject"`
	Links   []jrdLink `json:"links"`
}

type jrdLink struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

// Bounds of a descriptor.
const (
	maxJRDDepth = 8
	maxJRDLinks = 200
)

// parseJRD reads the one issuer a descriptor names. No issuer, or two different ones, refuse, and so does a document that
// two readers could read differently: members given twice, anything after its end.
func parseJRD(raw []byte) (issuer string, err error) {
	if err := soundJSON(raw); err != nil {
		return "", err
	}
	var d jrd
	if err := json.Unmarshal(raw, &d); err != nil {
		return "", fmt.Errorf("%w: descriptor: %w", asclient.ErrUntrusted, err)
	}
	if len(d.Links) > maxJRDLinks {
		return "", fmt.Errorf("%w: descriptor with %d links", asclient.ErrUntrusted, len(d.Links))
	}
	for _, l := range d.Links {
		if l.Rel != RelIssuer {
			continue
		}
		if issuer != "" && issuer != l.Href {
			return "", fmt.Errorf("%w: descriptor with two issuers", asclient.ErrUntrusted)
		}
		issuer = l.Href
	}
	if issuer == "" {
		return "", ErrNoIssuer
	}
	return issuer, nil
}

// soundJSON refuses what encoding/json would read leniently (SEC-59): members given twice, also in another case, deep
// nesting, trailing bytes.
func soundJSON(raw []byte) error {
	bad := func(why string) error { return fmt.Errorf("%w: descriptor: %s", asclient.ErrUntrusted, why) }
	dec := json.NewDecoder(bytes.NewReader(raw))
	type level struct {
		seen map[string]bool // nil in an array
		name bool            // the next token is a member's name
	}
	var open []level
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			if len(open) > 0 {
				return bad("cut short")
			}
			return nil
		}
		if err != nil {
			return bad("not JSON")
		}
		top := len(open) - 1
		switch d := tok.(type) {
		case json.Delim:
			switch d {
			case '{', '[':
				if top < 0 && (d == '[' || dec.InputOffset() > 1 && len(bytes.TrimSpace(raw[:dec.InputOffset()])) > 1) {
					return bad("want one object")
				}
				if len(open) >= maxJRDDepth {
					return bad("nested too deep")
				}
				if top >= 0 {
					open[top].name = open[top].seen != nil
				}
				l := level{}
				if d == '{' {
					l = level{seen: map[string]bool{}, name: true}
				}
				open = append(open, l)
			default:
				open = open[:top]
			}
			continue
		case string:
			if top >= 0 && open[top].name {
				if key := strings.ToLower(d); open[top].seen[key] {
					return bad("a member is given twice")
				} else {
					open[top].seen[key], open[top].name = true, false
				}
				continue
			}
		}
		if top < 0 {
			return bad("want one object")
		}
		open[top].name = open[top].seen != nil
	}
}
