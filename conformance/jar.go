package conformance

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"sync"
)

// jar keeps cookies and can be copied, so that several checks go on from one sign-in without disturbing each other.
type jar struct {
	mu  sync.Mutex
	std *cookiejar.Jar
	log []received
}

type received struct {
	from    *url.URL
	cookies []*http.Cookie
}

func newJar() *jar {
	std, _ := cookiejar.New(nil) // fails never without options
	return &jar{std: std}
}

func (j *jar) copy() *jar {
	out := newJar()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range j.log {
		out.std.SetCookies(r.from, r.cookies)
	}
	out.log = slices.Clone(j.log)
	return out
}

func (j *jar) take(from *url.URL, h http.Header) {
	cookies := (&http.Response{Header: h}).Cookies()
	if len(cookies) == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.std.SetCookies(from, cookies)
	j.log = append(j.log, received{from: from, cookies: cookies})
}

func (j *jar) cookies(to *url.URL) []*http.Cookie { return j.std.Cookies(to) }
