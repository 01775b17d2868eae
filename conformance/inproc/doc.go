// Package inproc holds the product's end-to-end tests: authorization server, resource server with its resolver, embedded
// FHIR server and the Flu Clinic app, booted together in this process and spoken to over real HTTP on loopback, by people's
// forms, by a real browser, by third-party clients and by attackers. It exports nothing and decides nothing.
//
// The servers are booted once per group of tests and shared; each test plays with people of its own, so that their order
// does not matter.
//
// What is not on a machine (a browser, node and its packages, the external test data in $UMAAS_TESTDATA) is told in one line
// and left out; UMAAS_TEST_REQUIRE=all makes that a failure. $UMAAS_SCREENSHOTS names a folder for pictures of every page.
package inproc
