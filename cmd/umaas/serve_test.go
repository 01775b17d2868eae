package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// command is the command as a process of its own.
type command struct {
	*exec.Cmd
	out  *bufio.Reader
	errs *safe
}

// start runs the command as a process; the test's end kills it if nothing else did.
func start(t *testing.T, env []string, args ...string) *command {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 40*time.Second)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(append(os.Environ(), asCommand+"=1"), env...)
	cmd.WaitDelay = 5 * time.Second
	c := &command{Cmd: cmd, errs: &safe{}}
	cmd.Stderr = c.errs
	pipe, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	c.out = bufio.NewReader(pipe)
	return c
}

// ended waits for the end and gives the exit code.
func (c *command) ended(t *testing.T) int {
	t.Helper()
	_, _ = io.Copy(io.Discard, c.out)
	err := c.Wait()
	var status *exec.ExitError
	if err != nil && !errors.As(err, &status) {
		t.Fatalf("%v\n%s", err, c.errs)
	}
	return c.ProcessState.ExitCode()
}

func (c *command) ready(t *testing.T, health string) {
	t.Helper()
	for range 500 {
		if get(health) == http.StatusNoContent {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("not ready\n%s", c.errs)
}

// asAlone is a configuration of the authorization server alone.
func asAlone(t *testing.T) (text, address, health string) {
	t.Helper()
	p := ports(t, 2)
	address, health = "127.0.0.1:"+p[0], "127.0.0.1:"+p[1]
	return fmt.Sprintf("name: Alone\ndata: %s\nroles: [as]\nhealth: %s\nas: {issuer: 'http://localhost:%s', listen: '%s'}\n", t.TempDir(), health, p[0], address), address, health
}

// TestServeStopsGracefully stops a real process by SIGTERM while a request is half sent: the request is finished, the exit
// is clean, the log is JSON.
func TestServeStopsGracefully(t *testing.T) {
	text, address, health := asAlone(t)
	c := start(t, nil, "serve", "--config", written(t, "c.yaml", text))
	c.ready(t, health)
	conn, err := net.Dial("tcp", address)
	check(t, err)
	defer func() { _ = conn.Close() }()
	check(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	const body = "grant_type=client_credentials"
	_, err = fmt.Fprintf(conn, "POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(body), body[:5])
	check(t, err)
	time.Sleep(50 * time.Millisecond) // let it arrive; a request not begun may be refused
	check(t, c.Process.Signal(syscall.SIGTERM))
	stopped := false
	for range 200 {
		if stopped = get(health) != http.StatusNoContent; stopped {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !stopped {
		t.Error("still ready after SIGTERM")
	}
	_, err = io.WriteString(conn, body[5:])
	check(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	check(t, err)
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("the running request got %d, want the ordinary 401", res.StatusCode)
	}
	check(t, res.Body.Close())
	if code := c.ended(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, c.errs)
	}
	for line := range strings.Lines(c.errs.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("log line is no JSON: %s", line)
		}
	}
	if !strings.Contains(c.errs.String(), `"msg":"ready"`) {
		t.Errorf("no word of readiness in the log:\n%s", c.errs)
	}
}

func TestServeTellsAllMistakesAtOnce(t *testing.T) {
	c := start(t, []string{"UMAAS_CLIENT_SECRET=hush-hush"}, "serve", "--config", written(t, "c.yaml", "roles: [as, gateway]\nhealth: nowhere\nas: {listen: 0.0.0.0:80}\n"))
	if code := c.ended(t); code != 1 {
		t.Errorf("exit code %d", code)
	}
	text := c.errs.String()
	for _, want := range []string{"name: required", "data: required", "health: want HOST:PORT", "as.issuer: required", "as: without TLS", "gateway.listen: required", "gateway.base:", "gateway.upstream:", "gateway.client_id"} {
		if !strings.Contains(text, want) {
			t.Errorf("not told: %s\n%s", want, text)
		}
	}
	if strings.Contains(text, "hush-hush") {
		t.Error("a secret is told")
	}
}

// TestServeOverrides starts from a file whose every address is wrong; environment and flags mend it, flags last.
func TestServeOverrides(t *testing.T) {
	p := ports(t, 3)
	text := "name: File\ndata: /nowhere/at/all\nroles: [fhir]\nas: {issuer: 'https://wrong.example', listen: '127.0.0.1:1'}\n"
	health := "127.0.0.1:" + p[1]
	c := start(t, []string{"UMAAS_DATA=" + t.TempDir(), "UMAAS_ISSUER=http://localhost:" + p[2], "UMAAS_ROLES=as", "UMAAS_HEALTH=" + health},
		"serve", "--config", written(t, "c.yaml", text), "--issuer", "http://localhost:"+p[0], "--as-listen", "127.0.0.1:"+p[0])
	c.ready(t, health)
	res, err := http.Get("http://localhost:" + p[0] + "/.well-known/uma2-configuration")
	check(t, err)
	var m struct{ Issuer string }
	check(t, json.NewDecoder(res.Body).Decode(&m))
	check(t, res.Body.Close())
	if m.Issuer != "http://localhost:"+p[0] {
		t.Errorf("issuer %q: the flag did not win", m.Issuer)
	}
	check(t, c.Process.Signal(os.Interrupt))
	if code := c.ended(t); code != 0 {
		t.Errorf("exit code %d after an interrupt\n%s", code, c.errs)
	}
}

// TestServeFailsCleanly tells why a second process on the same data or port does not start, and leaves the first alone.
func TestServeFailsCleanly(t *testing.T) {
	text, address, health := asAlone(t)
	running(t, written(t, "c.yaml", text))
	refused(t, "address already in use", "", "serve", "--config", written(t, "other.yaml", strings.Replace(text, "data: ", "data: "+t.TempDir(), 1)))
	if get(health) != http.StatusNoContent {
		t.Error("the first server is not well")
	}
	long := strings.Replace(text, "data: ", "data: "+t.TempDir()+"/"+strings.Repeat("long", 25)+"/", 1)
	refused(t, "too long", "", "serve", "--config", written(t, "long.yaml", strings.Replace(long, address, "127.0.0.1:"+ports(t, 1)[0], 1)))
}

// selfSigned makes a certificate for a name with its key, good for some days.
func selfSigned(t *testing.T, name string, days int) (crt, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 0, days), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	check(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	check(t, err)
	return written(t, "tls.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
		written(t, "tls.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
}

// trusting is a client that trusts one certificate.
func trusting(t *testing.T, crt string) *http.Client {
	t.Helper()
	raw, err := os.ReadFile(crt)
	check(t, err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(raw)
	return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
}

func TestServeTLS(t *testing.T) {
	crt, key := selfSigned(t, "localhost", 90)
	text, address, _ := asAlone(t)
	text = strings.Replace(text, "http://", "https://", 1)
	text = strings.Replace(text, "listen: '127.0.0.1", fmt.Sprintf("tls_cert: %s, tls_key: %s, listen: '127.0.0.1", crt, key), 1)
	running(t, written(t, "c.yaml", text))
	issuer := strings.Replace(address, "127.0.0.1", "https://localhost", 1)
	res, err := trusting(t, crt).Get(issuer + "/login")
	check(t, err)
	raw, err := io.ReadAll(res.Body)
	check(t, errors.Join(err, res.Body.Close()))
	if res.TLS == nil || res.StatusCode != http.StatusOK || !bytes.Contains(raw, []byte("<form")) {
		t.Errorf("sign-in page: %d %s", res.StatusCode, raw)
	}
	for _, c := range res.Cookies() {
		if !c.Secure || !strings.HasPrefix(c.Name, "__Host-") {
			t.Errorf("cookie %s is not bound to https", c.Name)
		}
	}
	if len(res.Cookies()) == 0 {
		t.Error("the sign-in page sets no cookie to look at")
	}
	plain, err := http.Get("http://" + address + "/login")
	check(t, err)
	check(t, plain.Body.Close())
	if plain.StatusCode != http.StatusBadRequest {
		t.Errorf("plain HTTP on the TLS door: %d", plain.StatusCode)
	}
}
