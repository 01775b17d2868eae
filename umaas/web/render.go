package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas"
)

//go:embed templates/*.html
var templateFiles embed.FS

// pages holds one parsed template set per page: layout and parts with the page's own "main".
type pages map[string]*template.Template

// frame is what the layout needs beside the page (flow frame, portal frame).
type frame struct {
	Title   string // text key; titles are fixed and tell nothing (PS-06)
	Flow    bool   // no menu; the way out tells the app "no"
	IsError bool   // the title begins with "Error" (AX-02)
	Here    string // menu entry
	FlowID  string // for "Not you?"
}

// view is the value every template gets.
type view struct {
	frame
	Deployment string
	Files      bool // shares can leave and come as files
	Help       string
	Static     string
	Base       string
	Me         string     // where the pages of the page's owner begin
	For        *principal // for whom the person acts; nil: herself
	Person     *umaas.Account
	Waiting    int // requests, for the menu
	Notice     string
	Trouble    bool   // the notice is about something that did not work
	Logout     string // token of the sign-out form
	Switch     string // token of "Not you?"
	Data       any
}

func (s *Site) loadTemplates() (pages, error) {
	out := pages{}
	funcs := s.functions()
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	shared := []string{"templates/layout.html", "templates/parts.html"}
	for _, file := range files {
		if file == shared[0] || file == shared[1] {
			continue
		}
		t, err := template.New("layout.html").Funcs(funcs).Option("missingkey=error").ParseFS(templateFiles, append(shared, file)...)
		if err != nil {
			return nil, fmt.Errorf("web: template %s: %w", file, err)
		}
		out[strings.TrimSuffix(path.Base(file), ".html")] = t
	}
	return out, nil
}

// functions of templates. Foreign text always comes through name or note.
func (s *Site) functions() template.FuncMap {
	return template.FuncMap{
		"say":   s.texts.say,
		"plain": s.texts.plain,
		"count": s.texts.count,
		"has":   s.texts.has,
		"name":  func(v any) Name { return name(fmt.Sprint(v)) },
		"note":  func(v string) string { return string(note(v)) },
		"date":  func(t time.Time) string { return t.In(s.Zone).Format("2 January 2006") },
		"clock": func(t time.Time) string { return t.In(s.Zone).Format("15:04") },
		"iso":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"lower": lowerFirst,
		"purpose": func(code string) string { // a code without words of ours is told as another reason
			if !s.texts.has("purpose." + code) {
				return "purpose.other"
			}
			return "purpose." + code
		},
		"web": webLink,
		"initial": func(v string) string { // an initial stands for a logo
			for _, r := range name(v) {
				return strings.ToUpper(string(r))
			}
			return "?"
		},
		"dict":     dict,
		"left":     s.left,
		"seconds":  func(d time.Duration) int { return int((d + time.Second - 1) / time.Second) },
		"signin":   func(acr string) string { return signInKey(acr) },
		"claimkey": s.claimKey,
		"lines":    lines,
		"day": func(end time.Time) string { // the last day that counts: ends are exclusive midnights
			return end.In(s.Zone).Add(-time.Nanosecond).Format("2 January 2006")
		},
	}
}

// webLink keeps foreign links that lead to the web over https; any other is not shown (PS-09).
func webLink(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || len(address) > 500 {
		return ""
	}
	return u.String()
}

// dict hands several values to a shared part.
func dict(pairs ...any) (map[string]any, error) {
	out := map[string]any{}
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict: values come in pairs")
	}
	for i := 0; i < len(pairs); i += 2 {
		out[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	return out, nil
}

// render draws a page completely before the first byte leaves, so that a failing template is a clean error.
func (s *Site) render(v *visit, status int, page string, f frame, data any) error {
	t, ok := s.templates[page]
	if !ok {
		return fmt.Errorf("web: no template %q", page)
	}
	out := view{
		frame: f, Deployment: s.DeploymentName, Help: s.Help, Files: s.Consents != nil, Base: s.Base, Me: s.Base + v.me(), For: v.principal, Static: s.Base + "/static/" + s.static.version, Data: data,
	}
	if v.person != nil {
		out.Person = v.person
		out.Logout, out.Switch = v.boundToken("", "logout", ""), v.boundToken("", "switch", f.FlowID)
		if !f.Flow && !f.IsError {
			out.Waiting = v.waiting()
		}
	}
	if !f.IsError {
		out.Notice = v.takeNotice()
		out.Trouble = strings.HasPrefix(out.Notice, "trouble.")
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "layout.html", out); err != nil {
		return fmt.Errorf("web: draw %s: %w", page, err)
	}
	v.Header("Content-Security-Policy", contentPolicy(v.extra))
	v.Header("Content-Type", "text/html; charset=utf-8")
	v.Status(status)
	_, _ = v.Writer.Write(b.Bytes()) // the browser went away: nobody to tell
	return nil
}

// notices are shown once, on the page after a POST (303 → page with role="status"). The cookie holds a code of this list
// and nothing else: another value shows nothing.
var notices = map[string]bool{"restored": true, "undone": true, "emergency-ended": true, "invitation-ended": true, "accepted": true,
	"delegated": true, "delegation-ended": true, "resigned": true, "imported": true, "signed-out": true, "allowed": true, "denied": true, "stopped": true, "changed": true, "shared": true, "withdrawn": true,
	"forgotten": true, "linked": true, "unlinked": true}

// troubles are notices of what did not work on the way.
var troubles = map[string]bool{
	"upstream": true, "declined": true, "not-fresh": true, "untrusted": true, "changed-meanwhile": true, "too-late": true, "appointed": true, "own-interest": true, "cannot-restore": true, "too-much": true, "linked-elsewhere": true, "last-sign-in": true, "sign-in-again": true,
}

func (v *visit) noticeName() string { return v.site.SessionCookie + "-notice" }

func (v *visit) leaveNotice(code string) { v.setCookie(v.noticeName(), code) }

func (v *visit) takeNotice() string {
	code := v.cookieValue(v.noticeName())
	if code == "" {
		return ""
	}
	v.dropCookie(v.noticeName())
	switch {
	case notices[code]:
		return "notice." + code
	case troubles[code]:
		return "trouble." + code
	}
	return ""
}

// lowerFirst joins an item's words into a sentence: "See your allergies" → "see your allergies".
func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
