package bench

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"

	"github.com/umaas/umaas/cmd/umaas/server"
)

// fixed answers every step of a flow, in about the size of a real answer.
const fixed = `{"ticket":"AAAAAAAAAAAAAAAAAAAAAA.BBBBBBBBBBBBBBBBBBBBBBBBBBB","access_token":"AAAAAAAAAAAAAAAAAAAAAA.BBBBBBBBBBBBBBBBBBBBBBBBBBB","token_type":"Bearer","expires_in":300,` +
	`"active":true,"permissions":[{"resource_id":"r","resource_scopes":["patient/AllergyIntolerance.r","patient/AllergyIntolerance.s"]}]}`

// serveBare is net/http alone: it reads the body and writes fixed JSON.
func serveBare(ctx context.Context, l net.Listener, issuer string, out io.Writer) error {
	if err := json.NewEncoder(out).Encode(Target{Issuer: issuer, RSID: "rs", RSSecret: "s", AppID: "app", AppSecret: "s", Resources: []string{"r"}}); err != nil {
		return err
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return // the driver sees the broken answer
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = io.WriteString(w, fixed) // likewise
	})
	return server.Serve(ctx, slog.New(slog.DiscardHandler), server.Door{Name: "bare", Listener: l, Handler: h})
}
