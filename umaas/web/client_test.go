package web_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// browser is one person's browser: a cookie jar that follows redirects and remembers nothing else.
type browser struct {
	*http.Client
	w *world
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	w.must(err)
	return &browser{&http.Client{Jar: jar}, w}
}

// page is one answer.
type page struct {
	status int
	header http.Header
	url    *url.URL
	body   string
}

func (b *browser) do(r *http.Request) page {
	b.w.t.Helper()
	res, err := b.Do(r)
	b.w.must(err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	b.w.must(err)
	return page{res.StatusCode, res.Header, res.Request.URL, string(body)}
}

func (b *browser) get(address string) page {
	b.w.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = b.w.server.URL + address
	}
	r, err := http.NewRequestWithContext(b.w.t.Context(), http.MethodGet, address, nil)
	b.w.must(err)
	return b.do(r)
}

func (b *browser) post(address string, form url.Values) page {
	b.w.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = b.w.server.URL + address
	}
	r, err := http.NewRequestWithContext(b.w.t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	b.w.must(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(r)
}

var (
	formTag   = regexp.MustCompile(`(?s)<form method="post" action="([^"]*)".*?</form>`)
	inputTag  = regexp.MustCompile(`<input[^>]*>`)
	attribute = regexp.MustCompile(`([a-z-]+)="([^"]*)"`)
)

// form returns the fields of the form whose address ends with suffix as a browser would send them unchanged.
func (p page) form(t testing.TB, suffix string) (action string, fields url.Values) {
	t.Helper()
	for _, m := range formTag.FindAllStringSubmatch(p.body, -1) {
		if !strings.HasSuffix(m[1], suffix) {
			continue
		}
		fields = url.Values{}
		for _, tag := range inputTag.FindAllString(m[0], -1) {
			a := map[string]string{}
			for _, kv := range attribute.FindAllStringSubmatch(tag, -1) {
				a[kv[1]] = strings.NewReplacer("&#34;", `"`, "&#39;", "'", "&#43;", "+", "&amp;", "&", "&lt;", "<", "&gt;", ">").Replace(kv[2])
			}
			if a["name"] == "" { // for the script alone: no browser sends it
				continue
			}
			if (a["type"] == "checkbox" || a["type"] == "radio") && !strings.Contains(tag, " checked") {
				continue
			}
			fields.Add(a["name"], a["value"])
		}
		return m[1], fields
	}
	t.Fatalf("no form to %s on this page (%d):\n%s", suffix, p.status, p.body)
	return "", nil
}

// submit sends a form with changes: empty lists take a field away.
func (b *browser) submit(p page, suffix string, change url.Values) page {
	b.w.t.Helper()
	action, fields := p.form(b.w.t, suffix)
	for k, v := range change {
		fields[k] = v
	}
	return b.post(action, fields)
}

func (b *browser) signIn(p page, login string) page {
	b.w.t.Helper()
	return b.submit(p, "/login", url.Values{"login": {login}, "password": {password}})
}

// item finds the id of a tick by its words.
func (p page) item(t testing.TB, words string) string {
	t.Helper()
	re := regexp.MustCompile(`(?s)name="item" value="([^"]+)"[^>]*>\s*<span><span class="words">` + regexp.QuoteMeta(words) + `<`)
	m := re.FindStringSubmatch(p.body)
	if m == nil {
		t.Fatalf("no line %q to tick:\n%s", words, p.body)
	}
	return m[1]
}

var (
	headings = regexp.MustCompile(`(?s)<h1[^>]*>(.*?)</h1>`)
	titles   = regexp.MustCompile(`(?s)<title>(.*?)</title>`)
	tags     = regexp.MustCompile(`<[^>]*>`)
)

func (p page) heading() string {
	m := headings.FindStringSubmatch(p.body)
	if m == nil {
		return ""
	}
	return strings.NewReplacer("&#39;", "'", "&amp;", "&").Replace(tags.ReplaceAllString(m[1], ""))
}

func (p page) title() string {
	m := titles.FindStringSubmatch(p.body)
	if m == nil {
		return ""
	}
	return m[1]
}

// sendDetails goes through the questions and sends them.
func (b *browser) sendDetails(p page, purpose, note string) page {
	b.w.t.Helper()
	p = b.submit(p, "/details", url.Values{"answer": {"next"}, "purpose": {purpose}, "note": {note}})
	return b.submit(p, "/send", url.Values{"answer": {"send"}})
}
