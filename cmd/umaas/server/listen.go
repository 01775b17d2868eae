package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Door is one listener with what answers on it.
type Door struct {
	Name     string
	Listener net.Listener
	Handler  http.Handler
	CertFile string // empty: plain HTTP
	KeyFile  string
	// AskCertificate lets clients show a certificate; what it is worth is judged behind the door (RFC 8705).
	AskCertificate bool
}

// graceful is how long running requests may take to finish after a stop.
const graceful = 10 * time.Second

// Serve answers on all doors until ctx ends, then lets running requests finish. The first door that fails stops all.
func Serve(ctx context.Context, log *slog.Logger, doors ...Door) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var failed error // of the first door; the cause of ctx is no help: a signal is a cause too, and no failure
	var once sync.Once
	var wg sync.WaitGroup
	for _, d := range doors {
		s := &http.Server{
			Handler: d.Handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: 5 * time.Minute, IdleTimeout: 2 * time.Minute,
			MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
			TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		}
		if d.AskCertificate {
			s.TLSConfig.ClientAuth = tls.RequestClientCert
		}
		wg.Go(func() {
			err := answer(s, d)
			if !errors.Is(err, http.ErrServerClosed) {
				once.Do(func() { failed = fmt.Errorf("%s: %w", d.Name, err) })
				cancel()
			}
		})
		wg.Go(func() {
			<-ctx.Done()
			stop, done := context.WithTimeout(context.WithoutCancel(ctx), graceful)
			defer done()
			if err := s.Shutdown(stop); err != nil {
				log.Warn("requests were cut off", "door", d.Name, "err", err)
				_ = s.Close() // nothing more to wait for
			}
		})
	}
	wg.Wait()
	return failed
}

func answer(s *http.Server, d Door) error {
	if d.CertFile != "" {
		return s.ServeTLS(d.Listener, d.CertFile, d.KeyFile)
	}
	return s.Serve(d.Listener)
}
