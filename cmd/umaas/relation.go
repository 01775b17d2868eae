package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/umaas/umaas/cmd/umaas/server"
)

func relationCommand() *cobra.Command {
	o := &operate{}
	var v server.RelationView
	var until string
	add := &cobra.Command{
		Use: "add SUBJECT PATIENT", Short: "Let somebody see a patient's record by the hospital's own rules", Args: cobra.ExactArgs(2),
		Long: `A relation says who may see whom at this resource server, before any sharing: a practitioner her patients,
a parent a child. SUBJECT is the FHIR resource the person is (Practitioner/7, RelatedPerson/3, Patient/9), or her key
here as the log shows it. PATIENT is the logical id. A patient needs no relation to her own record.

Adding the same two again replaces the relation.`,
		Example: `  umaas relation add Practitioner/7 123 --kind practitioner --scopes 'patient/*.rs' --config umaas.yaml
  umaas relation add Patient/9 124 --kind parent --label 'Your child' --scopes 'patient/*.cruds' --holder --until 2038-05-01 --config umaas.yaml`,
		RunE: func(c *cobra.Command, args []string) error {
			v.Subject, v.Patient = args[0], args[1]
			if until != "" {
				at, err := time.Parse(time.DateOnly, until)
				if err != nil {
					return fmt.Errorf("--until %q: want a date such as 2038-05-01", until)
				}
				v.Until = at
			}
			var out server.RelationView
			return o.call(c, atGateway, "relation-add", v, &out, func(w io.Writer) { printRelation(w, out) })
		},
	}
	f := add.Flags()
	f.StringVar(&v.Kind, "kind", "", "practitioner, parent, representative, …: people read it")
	f.StringVar(&v.Label, "label", "", "how the person calls the patient, for example 'Your child'")
	f.StringVar(&v.Scopes, "scopes", "", "SMART scopes that the relation carries, for example 'patient/*.rs' (required)")
	f.BoolVar(&v.Holder, "holder", false, "holds the record in the patient's place until the patient claims it")
	f.StringVar(&until, "until", "", "first day on which it no longer holds (UTC); empty: until dropped")

	var filter server.RelationFilter
	list := &cobra.Command{
		Use: "list", Short: "List relations of a person or to a patient", Args: cobra.NoArgs,
		Example: "  umaas relation list --patient 123 --config umaas.yaml\n  umaas relation list --subject Practitioner/7 --config umaas.yaml",
		RunE: func(c *cobra.Command, _ []string) error {
			var vs []server.RelationView
			return o.call(c, atGateway, "relation-list", filter, &vs, func(w io.Writer) {
				for _, v := range vs {
					printRelation(w, v)
				}
			})
		},
	}
	list.Flags().StringVar(&filter.Subject, "subject", "", "whose relations")
	list.Flags().StringVar(&filter.Patient, "patient", "", "to whom")
	drop := &cobra.Command{
		Use: "drop SUBJECT PATIENT", Short: "End a relation: access that rests on it ends at once", Args: cobra.ExactArgs(2),
		Example: "  umaas relation drop Practitioner/7 123 --config umaas.yaml",
		RunE: func(c *cobra.Command, args []string) error {
			var out server.RelationFilter
			return o.call(c, atGateway, "relation-drop", server.RelationFilter{Subject: args[0], Patient: args[1]}, &out, func(w io.Writer) {
				line(w, out.Subject, "Patient/"+out.Patient, "dropped")
			})
		},
	}
	return group("relation", "Who may see whom at the gateway", "The administered relations of the resource server: they bound what anybody's token can reach.", o, add, list, drop)
}

func printRelation(w io.Writer, v server.RelationView) {
	line(w, v.Subject, "Patient/"+v.Patient, v.Kind, v.Scopes, mark(v.Holder, "holder"), date(v.Until, "no end"), v.Label)
}

func appCommand() *cobra.Command {
	o := &operate{}
	var v server.AppView
	add := &cobra.Command{
		Use: "add CLIENT_ID", Short: "Let the resolution service send people back to an app", Args: cobra.ExactArgs(1),
		Long: `The resolution service hands out context URLs and sends people back to apps it knows, to exactly the redirect
URIs given here. CLIENT_ID is the app's at the authorization server. Adding the same again replaces it.`,
		Example: "  umaas app add s6BhdRkqt3 --name 'Flu Clinic' --redirect https://app.example.org/resolved --checked --config umaas.yaml",
		RunE: func(c *cobra.Command, args []string) error {
			v.ClientID = args[0]
			var out server.AppView
			return o.call(c, atGateway, "app-add", v, &out, func(w io.Writer) { printApp(w, out) })
		},
	}
	f := add.Flags()
	f.StringVar(&v.Name, "name", "", "as people read it (required)")
	f.StringArrayVar(&v.RedirectURIs, "redirect", nil, "redirect URI, exact (repeatable, required)")
	f.BoolVar(&v.Checked, "checked", false, "you vouch for it; pages say so")
	list := &cobra.Command{Use: "list", Short: "List apps", Args: cobra.NoArgs, Example: "  umaas app list --config umaas.yaml", RunE: func(c *cobra.Command, _ []string) error {
		var vs []server.AppView
		return o.call(c, atGateway, "app-list", struct{}{}, &vs, func(w io.Writer) {
			for _, v := range vs {
				printApp(w, v)
			}
		})
	}}
	drop := &cobra.Command{Use: "drop CLIENT_ID", Short: "Send nobody back to an app any more", Args: cobra.ExactArgs(1), Example: "  umaas app drop s6BhdRkqt3 --config umaas.yaml", RunE: func(c *cobra.Command, args []string) error {
		var n server.Named
		return o.call(c, atGateway, "app-drop", server.Named{Name: args[0]}, &n, func(w io.Writer) { line(w, n.Name, "dropped") })
	}}
	return group("app", "Apps the resolution service knows", "Where people may be sent back to with a context URL.", o, add, list, drop)
}

func printApp(w io.Writer, v server.AppView) {
	line(w, v.ClientID, v.Name, strings.Join(v.RedirectURIs, " "), mark(v.Checked, "checked"))
}
