// Package report tells what a run found: a table in a terminal with progress while it runs, JSON for programs, JUnit for
// build servers, and one self-contained HTML page for people. It owns how results look and nothing of how they came to be.
// What a check stands on is told in the register's words.
package report
