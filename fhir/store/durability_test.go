package store

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func compactJSON(t testing.TB, raw string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(raw)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestMain lets the test binary be its own victim: with the variable set it writes until it is killed.
func TestMain(m *testing.M) {
	if path := os.Getenv("UMAAS_STORE_TEST_VICTIM"); path != "" {
		os.Exit(victim(path))
	}
	os.Exit(m.Run())
}

// victim writes transactions of two resources each from 8 writers, and prints the number of a transaction once it is acknowledged.
func victim(path string) int {
	s, err := Open(Options{Path: path, Base: testBase, UpdateAsCreate: true})
	if err != nil {
		fmt.Println("open:", err)
		return 1
	}
	h := s.Handler()
	acknowledged := make(chan string)
	for w := range 8 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("w%d-%d", w, i)
				body := fmt.Sprintf(`{"resourceType":"Bundle","type":"transaction","entry":[
					{"resource":{"resourceType":"Patient","id":%[1]q},"request":{"method":"PUT","url":"Patient/%[1]s"}},
					{"resource":{"resourceType":"Observation","id":%[1]q,"subject":{"reference":"Patient/%[1]s"}},"request":{"method":"PUT","url":"Observation/%[1]s"}}]}`, id)
				r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
				r.Header.Set("Content-Type", mediaFHIR)
				rec := httptest.NewRecorder()
				h.ServeHTTP(rec, r)
				if rec.Code != 200 {
					id = "failed " + rec.Body.String()
				}
				acknowledged <- id
			}
		}()
	}
	for id := range acknowledged {
		fmt.Println(id)
	}
	return 0
}

// Every acknowledged write is there after kill -9, none half, and the index agrees with the data.
func TestKill9LosesNothingAcknowledged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fhir.db")
	var acknowledged []string
	for round := range 3 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "UMAAS_STORE_TEST_VICTIM="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		stop := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() }) // never longer than this
		lines := bufio.NewScanner(out)
		n := 0
		for lines.Scan() {
			acknowledged = append(acknowledged, lines.Text())
			if n++; n == 200+37*round {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		stop.Stop()
		if err := cmd.Wait(); err == nil {
			t.Fatal("the victim ended by itself")
		}
		if n < 200 {
			t.Fatalf("round %d: only %d acknowledged", round, n)
		}
		s := newServer(t, func(o *Options) { o.Path = path })
		for _, id := range acknowledged {
			if strings.HasPrefix(id, "failed") {
				t.Fatal(id)
			}
			s.do("GET", "Patient/"+id, "").want(200)
			if got := s.all("Observation?patient=" + id); len(got) != 1 {
				t.Fatalf("%s: %v", id, got)
			}
		}
		patients := s.do("GET", "Patient?_summary=count", "").want(200).bundle()
		observations := s.do("GET", "Observation?_summary=count", "").want(200).bundle()
		if *patients.Total != *observations.Total || *patients.Total < len(acknowledged) && round == 0 {
			t.Errorf("%d patients, %d observations, %d acknowledged", *patients.Total, *observations.Total, len(acknowledged))
		}
		if err := s.s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
