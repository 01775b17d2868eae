package resourceserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/umaas/umaas/scopes"
	"github.com/umaas/umaas/umaas/uma"
)

// Type URIs of resource sets (HEART FHIR-UMA2 §2.1, flows.md A1), and ours of the decoy.
const (
	TypePatientCompartment = "http://www.hl7.org/fhir/compartmentdefinition-patient.html"
	TypeUserAccess         = "http://www.hl7.org/fhir/patient.html"
	TypeDecoy              = "urn:umaas:resource:decoy"
)

// levelDecoy is the one set without data behind it. Its id grants nothing: no judge knows the level.
const levelDecoy Level = "decoy"

// description is what is registered for a set. Name and type say nothing of the person (F-076); the context, with a label
// of the owner's own, is shown to the owner alone.
func (r *Registrar) description(set Set, label string, base *uma.DerivedFrom) uma.ResourceDescription {
	d := uma.ResourceDescription{
		Name: "Health record", Type: TypePatientCompartment, Scopes: scopes.Registered(contextOf(set.Level), r.cfg.Types),
		DerivedFrom: base, PreviewURI: r.cfg.Base + previewPath,
		Context: &uma.ResourceContext{Level: string(set.Level), Label: label, FHIRBase: r.cfg.FHIRBase, Patient: set.Patient},
	}
	switch set.Level {
	case LevelUser:
		d.Name, d.Type = "Access to health records", TypeUserAccess
	case LevelPatient:
		d.Name = "Access to a health record"
	}
	return d
}

// decoyDescription is the set behind tickets for what is hidden or absent (decisions 6). Its list of scopes is the one of a
// record, so that a permission request for it is no shorter than a real one.
func (r *Registrar) decoyDescription() uma.ResourceDescription {
	return uma.ResourceDescription{
		Name: "Health record", Type: TypeDecoy, Scopes: append(scopes.Registered("patient", r.cfg.Types), scopes.Registered("user", r.cfg.Types)...),
		Context: &uma.ResourceContext{Level: string(levelDecoy)},
	}
}

// contextOf is the scope context of a level (gateway_rules.md (a), short form).
func contextOf(level Level) scopes.Context {
	if level == LevelUser {
		return "user"
	}
	return "patient"
}

// meaning reads a description of ours back. ok is false for what this server did not register, or not at this FHIR base.
func (r *Registrar) meaning(o Owner, d uma.ResourceDescription) (Set, bool) {
	set := Set{Issuer: o.Issuer, User: o.User}
	if d.Type == TypeDecoy && o.Custodian() {
		set.Level = levelDecoy
		return set, true
	}
	if d.Context == nil || d.Context.FHIRBase != r.cfg.FHIRBase {
		return Set{}, false
	}
	set.Level, set.Patient = Level(d.Context.Level), d.Context.Patient
	switch set.Level {
	case LevelRecord:
		return set, validLogicalID(set.Patient)
	case LevelPatient:
		return set, validLogicalID(set.Patient) && !o.Custodian()
	case LevelUser:
		return set, set.Patient == "" && !o.Custodian()
	default:
		return Set{}, false
	}
}

// label is how the owner sees a set: her own word for it, else the patient's name.
func (r *Registrar) label(ctx context.Context, s Seen) string {
	if s.Self {
		return "My own record"
	}
	if s.Label != "" {
		return s.Label
	}
	if n, err := r.cfg.Patients.Patient(ctx, s.Patient); err == nil && n.Name != "" {
		return n.Name
	}
	return "A health record"
}

// fingerprint changes whenever a description does.
func fingerprint(d uma.ResourceDescription) string {
	raw, err := json.Marshal(d)
	if err != nil {
		return "" // equals no kept fingerprint, so the set is sent again
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
