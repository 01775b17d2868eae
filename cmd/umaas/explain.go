package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/umaas/umaas/cmd/umaas/server"
	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/config"
)

// explained is the whole answer of explain: what the authorization server says of the token, and what the gateway does
// with the request.
type explained struct {
	Token   *umaas.Explanation         `json:",omitempty"`
	Request *server.RequestExplanation `json:",omitempty"`
}

func explainCommand() *cobra.Command {
	o := &operate{}
	var request, body string
	c := &cobra.Command{
		Use: "explain", Short: "Why does a token allow what it allows? The token is read from standard input", Args: cobra.NoArgs,
		Long: `Tells each step of the decision behind a token, as the authorization server makes it: grant, parties,
policies, what is left today and why. With --request also what the gateway does with a FHIR request under that token:
what the token is good for there, the relations it rests on, the FHIR server's part, and the answer an app would get.

The request is rehearsed: writes stop before the FHIR server, no ticket is asked for, no single-use grant is spent, no
access is recorded, and nothing of a record is printed.`,
		Example: `  umaas explain --config umaas.yaml < token.txt
  umaas explain --config umaas.yaml --request 'GET Observation?patient=1' < token.txt
  umaas explain --config umaas.yaml --request 'POST Immunization' --body vaccine.json < token.txt`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := config.Load(o.file, os.Environ(), nil)
			if err != nil {
				return err
			}
			var q *server.AskedRequest
			if request != "" || body != "" {
				if q, err = askedRequest(request, body); err != nil {
					return err
				}
			}
			token, err := password(c.InOrStdin(), c.ErrOrStderr())
			if err != nil {
				return err
			}
			e, err := explain(c, cfg, token, q)
			if o.json {
				return errors.Join(printJSON(c.OutOrStdout(), e), err)
			}
			e.print(c.OutOrStdout())
			return err
		},
	}
	o.flags(c)
	c.Flags().StringVar(&request, "request", "", "a FHIR request, method and URL; the URL may be relative to the FHIR base")
	c.Flags().StringVar(&body, "body", "", "file with the request's body")
	return c
}

func askedRequest(request, body string) (*server.AskedRequest, error) {
	method, target, ok := strings.Cut(strings.TrimSpace(request), " ")
	target = strings.TrimSpace(target)
	if !ok || method == "" || target == "" || strings.ContainsAny(target, " \t\r\n") {
		return nil, fmt.Errorf("--request %q: want a method and a URL, for example 'GET Observation?patient=1'", request)
	}
	q := &server.AskedRequest{Method: strings.ToUpper(method), Target: target}
	if body != "" {
		raw, err := os.ReadFile(body) //nolint:gosec // the operator names the file
		if err != nil {
			return nil, err
		}
		q.Body = raw
	}
	return q, nil
}

// explain asks each role that this configuration runs. Where one half fails, the other is still told.
func explain(c *cobra.Command, cfg config.Config, token string, q *server.AskedRequest) (explained, error) {
	var e explained
	var errs []error
	if cfg.Runs("as") {
		var t umaas.Explanation
		if err := ask(c.Context(), cfg, atAS, "explain", server.Named{Value: token}, &t); err != nil {
			errs = append(errs, err)
		} else {
			e.Token = &t
		}
	}
	switch {
	case q != nil && cfg.Runs("gateway"):
		q.Token = token
		var r server.RequestExplanation
		if err := ask(c.Context(), cfg, atGateway, "explain-request", q, &r); err != nil {
			errs = append(errs, err)
		} else {
			e.Request = &r
		}
	case q != nil:
		errs = append(errs, errors.New("no gateway runs in this configuration: explain the request with the gateway's own"))
	case !cfg.Runs("as"):
		errs = append(errs, errors.New("no authorization server runs in this configuration: name a --request to explain, or use the authorization server's own"))
	}
	return e, errors.Join(errs...)
}

func (e explained) print(w io.Writer) {
	if t := e.Token; t != nil {
		state := "active"
		if !t.Active {
			state = "not active"
		}
		line(w, fmt.Sprintf("Authorization server: the token is %s. Grant of %s for client %s, until %s.", state, t.Kind, t.Client, t.Expires.UTC().Format(time.RFC3339)))
		printSteps(w, t.Steps)
	}
	if r := e.Request; r != nil {
		line(w, "Gateway: "+r.Request)
		printSteps(w, r.Steps)
		line(w, "  → "+r.Verdict)
	}
}

func printSteps(w io.Writer, steps []umaas.ExplainStep) {
	for _, s := range steps {
		sign := "✓"
		if !s.OK {
			sign = "✗"
		}
		line(w, fmt.Sprintf("  %s %s: %s", sign, s.Name, s.Detail))
	}
}
