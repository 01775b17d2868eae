package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas"
)

// Consents puts shares into files that other systems read, FHIR Consents, and back; fhirview.View does it. An empty id exports all
// that are in force. With check nothing is stored.
type Consents interface {
	Export(ctx context.Context, a umaas.Acting, id umaas.PolicyID) ([]byte, error)
	Import(ctx context.Context, a umaas.Acting, raw []byte, check bool, requestID string) ([]umaas.PolicyID, []umaas.ShareView, error)
}

// exportShare is one share as a file, exportShares all of them. The file's name holds the date alone (PS-06).
func (s *Site) exportShare(v *visit) error { return s.download(v, umaas.PolicyID(v.Param("id"))) }

func (s *Site) exportShares(v *visit) error { return s.download(v, "") }

func (s *Site) download(v *visit, id umaas.PolicyID) error {
	if s.Consents == nil {
		return errNoPage
	}
	raw, err := s.Consents.Export(v.Request.Context(), v.acts(), id)
	if err != nil {
		return err
	}
	v.Header("Content-Disposition", fmt.Sprintf(`attachment; filename="sharing-%s.json"`, s.Now().In(s.Zone).Format(time.DateOnly)))
	v.Data(http.StatusOK, "application/fhir+json", raw)
	return nil
}

// importView is the page that takes a file in: the form, then what each share in it would mean here.
type importView struct {
	Token    string
	Document string
	Seen     string
	Shares   []importRow
	Trouble  Name // where the file was not understood, for who made it
	Problems []problem
}

type importRow struct {
	shareRow
	Blocks []record
}

func (s *Site) importPage(v *visit) error {
	v.form = url.Values{}
	return s.drawImport(v, http.StatusOK, importView{})
}

func (s *Site) drawImport(v *visit, status int, d importView) error {
	if s.Consents == nil {
		return errNoPage
	}
	newest, err := s.newestShare(v)
	if err != nil {
		return err
	}
	d.Seen = newest
	d.Token = v.formToken("import", d.Seen+" "+fingerprint(shownDocument(d)))
	return s.render(v, status, "import", frame{Title: "import.title", Here: "sharing", IsError: len(d.Problems) > 0}, d)
}

// shownDocument is what the form's token stands for: the file whose meaning the page shows, nothing before that.
func shownDocument(d importView) string {
	if len(d.Shares) == 0 {
		return ""
	}
	return d.Document
}

func fingerprint(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func (s *Site) newestShare(v *visit) (string, error) {
	shares, err := v.acts().Shares(v.Request.Context())
	if err != nil || len(shares) == 0 {
		return "", err
	}
	return fmt.Sprint(len(shares), " ", shares[0].ID), nil
}

// takeIn shows what a file would mean, and then, for just this file, makes the shares (UI-12).
func (s *Site) takeIn(v *visit) error {
	if err := v.readForm([]string{"document", "seen"}); err != nil {
		return err
	}
	if s.Consents == nil {
		return errNoPage
	}
	document, seen := v.form.Get("document"), v.form.Get("seen")
	switch v.form.Get("answer") {
	case "check":
		if err := v.checkToken("import", seen+" "+fingerprint("")); err != nil {
			return err
		}
		return s.checkImport(v, document)
	case "share":
	default:
		return errOutOfDate
	}
	document = strings.ReplaceAll(document, "\r\n", "\n")
	if err := v.checkToken("import", seen+" "+fingerprint(document)); err != nil {
		return err
	}
	newest, err := s.newestShare(v)
	if err != nil {
		return err
	}
	if newest != seen { // a second press, or another window: nothing twice
		v.leaveNotice("changed-meanwhile")
		return v.seeOther(v.me() + "/sharing")
	}
	if _, _, err := s.Consents.Import(v.Request.Context(), v.acts(), []byte(document), false, v.requestID()); err != nil {
		if refused(err) {
			return s.drawImport(v, http.StatusUnprocessableEntity, s.notUnderstood(document, err))
		}
		return err
	}
	v.leaveNotice("imported")
	return v.seeOther(v.me() + "/sharing")
}

func (s *Site) checkImport(v *visit, document string) error {
	document = strings.ReplaceAll(document, "\r\n", "\n")
	d := importView{Document: document}
	if strings.TrimSpace(document) == "" {
		d.Problems = []problem{{"document", "problem.no-file"}}
		return s.drawImport(v, http.StatusUnprocessableEntity, d)
	}
	_, views, err := s.Consents.Import(v.Request.Context(), v.acts(), []byte(document), true, v.requestID())
	switch {
	case refused(err):
		return s.drawImport(v, http.StatusUnprocessableEntity, s.notUnderstood(document, err))
	case err != nil:
		return err
	}
	for _, share := range views {
		share.Records = v.worded(share.Records)
		d.Shares = append(d.Shares, importRow{s.rowOf(share), recordsOf(share.Records, nil)})
	}
	return s.drawImport(v, http.StatusOK, d)
}

// refused is a file that says something this server does not know, or what the person may not do; it is never guessed.
func refused(err error) bool {
	return errors.Is(err, umaas.ErrBadAnswer) || errors.Is(err, umaas.ErrNothingChosen) || errors.Is(err, umaas.ErrOwnInterest)
}

func (s *Site) notUnderstood(document string, err error) importView {
	_, text, found := strings.Cut(err.Error(), umaas.ErrBadAnswer.Error()+": ")
	if !found {
		text = err.Error()
	}
	return importView{Document: document, Trouble: note(text), Problems: []problem{{"document", "problem.file"}}}
}
