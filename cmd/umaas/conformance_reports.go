package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/register"
	"github.com/umaas/umaas/conformance/report"
)

// reportFile is a report that was asked for, with its file open.
type reportFile struct {
	name  string
	file  *os.File
	fresh bool // there was none before
	write func(io.Writer, conformance.Run, register.Register) error
}

type reportFiles []reportFile

// open opens the files of the reports before the run: a name that cannot be written is told at once, not after minutes. What
// stands in a file stays until there is something to put in its place.
func (r *conformanceRun) open() (reportFiles, error) {
	var out reportFiles
	for _, w := range []reportFile{{name: r.json, write: report.JSON}, {name: r.junit, write: report.JUnit}, {name: r.html, write: report.HTML}} {
		if w.name == "" {
			continue
		}
		_, err := os.Stat(w.name)
		w.fresh = errors.Is(err, fs.ErrNotExist)
		// The file is kept to the user: a report shows traffic, secrets shortened.
		if w.file, err = os.OpenFile(w.name, os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
			return nil, errors.Join(fmt.Errorf("report: %w", err), out.drop())
		}
		out = append(out, w)
	}
	return out, nil
}

// put fills the reports.
func (list reportFiles) put(run conformance.Run, reg register.Register) error {
	var errs []error
	for _, w := range list {
		if err := errors.Join(w.empty(), w.write(w.file, run, reg), w.file.Close()); err != nil {
			errs = append(errs, fmt.Errorf("report %s: %w", w.name, err))
		}
	}
	return errors.Join(errs...)
}

// empty takes out the report before this one; a device or a pipe has none.
func (w reportFile) empty() error {
	if at, err := w.file.Stat(); err != nil || !at.Mode().IsRegular() {
		return err
	}
	return w.file.Truncate(0)
}

// drop leaves the files as they were.
func (list reportFiles) drop() error {
	var errs []error
	for _, w := range list {
		errs = append(errs, w.file.Close())
		if w.fresh {
			errs = append(errs, os.Remove(w.name))
		}
	}
	return errors.Join(errs...)
}
