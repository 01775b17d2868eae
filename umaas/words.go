package umaas

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// purposes are the codes a requesting party may choose from (pages.md TX-10); the words belong to the pages. BTG and ETREAT
// are not for choosing: emergency access has a door of its own.
var purposes = []string{"TREAT", "HPAYMT", "HOPERAT", "HQUALIMP", "HRESCH", "PATRQT", "FAMRQT", "PWATRNY", "PUBHLTH"}

const maxNote = 280 // characters (pages.md PG-05)

// cleanNote keeps a party's words plain: one line, no control and direction marks (pages.md IX-04).
func cleanNote(note string) (string, error) {
	if !utf8.ValidString(note) {
		return "", fmt.Errorf("%w: the note is no text", ErrBadAnswer)
	}
	note = cleanText(note)
	if utf8.RuneCountInString(note) > maxNote {
		return "", fmt.Errorf("%w: the note has more than %d characters", ErrBadAnswer, maxNote)
	}
	return note, nil
}

func cleanText(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError:
			return -1
		default:
			return r
		}
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

// told is the sentence the owner will read about who asks, shown to the party before she sends anything (pages.md PG-05).
func told(a Account, app AppView) string { return aboutHer(a) + askingThrough(app) }

// aboutHer is her name with what this server itself states.
func aboutHer(a Account) string {
	who := cleanText(a.Name)
	if who == "" {
		who = "Someone without a name here"
	}
	switch {
	case a.Email != "" && a.EmailVerified:
		who += " (" + a.Email + ", confirmed)"
	case a.Email != "":
		who += " (address not confirmed)"
	}
	for _, c := range a.Claims {
		if c.Name == "org" || c.Name == "role" || c.Name == "pro" {
			who += ", " + cleanText(c.Value)
		}
	}
	return who
}

func askingThrough(app AppView) string {
	return fmt.Sprintf(" asks through %s to see or use information in your record.", app.Name)
}

// appOf is a client as a person should see it.
func appOf(c Client, redirectURI string) AppView {
	v := AppView{
		ID: c.ID, Name: cleanText(c.Name), URI: c.ClientURI, PolicyURI: c.PolicyURI, TOSURI: c.TOSURI, Dynamic: c.Dynamic,
		Since: c.Created, CheckedBy: c.CheckedBy, CheckedAt: c.CheckedAt,
	}
	if v.Name == "" {
		v.Name = "An app without a name"
	}
	if u, err := url.Parse(redirectURI); err == nil {
		v.Host = u.Host
	}
	return v
}

// labelOf is the owner's own word for a set, else its registered name. It is for the owner alone (F-076).
func labelOf(r Resource) string {
	if c := r.Description.Context; c != nil && c.Label != "" {
		return c.Label
	}
	if r.Description.Name != "" {
		return r.Description.Name
	}
	return "A record"
}

// wholeItem stands for a resource asked for without scopes: the app learns which record it is about and nothing in it.
func wholeItem() Item {
	return Item{ID: "which", Block: "see", Group: "record", Words: "Know which record this is", Rights: []Right{{}}}
}

// describeRights puts rights on one resource into items.
func (s *Service) describeRights(rights []Right) []Item {
	scoped := make([]Right, 0, len(rights))
	for _, r := range rights {
		if len(r.Scopes) > 0 {
			scoped = append(scoped, r)
		}
	}
	if len(scoped) > 0 {
		return s.Scopes.Describe(scoped, "en")
	}
	if len(rights) > 0 {
		return []Item{wholeItem()}
	}
	return nil
}

// tagItems makes item ids unique over all records of a page: the same right on two records is two lines to tick.
func tagItems(records []RecordView) {
	for i := range records {
		r := records[i].Resource
		sum := sha256.Sum256([]byte(string(r.RS) + "\x00" + string(r.ID)))
		tag := strings.ToLower(base64.RawURLEncoding.EncodeToString(sum[:6]))
		for j := range records[i].Items {
			records[i].Items[j].ID = tag + "." + records[i].Items[j].ID
		}
	}
}

// digest fingerprints what is shown, so that an answer is an answer to just that (SEC-47).
func digest(parts ...any) string {
	h := sha256.New()
	enc := json.NewEncoder(h)
	for _, p := range parts {
		if err := enc.Encode(p); err != nil {
			return "" // equals no shown digest: every answer is refused
		}
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18])
}

// shownRecords is the part of a page that a digest covers.
func shownRecords(records []RecordView) any {
	type shown struct {
		RS    ClientID
		ID    ResourceID
		Items []Item
	}
	out := make([]shown, 0, len(records))
	for _, r := range records {
		out = append(out, shown{r.Resource.RS, r.Resource.ID, r.Items})
	}
	return out
}
