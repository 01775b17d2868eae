package demo

// Person is one of the demo's people. Ages are chosen so that every page of the main job has somebody to look at:
// families with a parent and a child, the old and the newborn, two practitioners of different organizations.
type Person struct {
	ID       string // logical id of the Patient or Practitioner
	Given    string
	Family   string
	Sex      string // FHIR administrative gender
	Birth    string // ISO date
	Login    string // "" for those who have no account: small children
	Email    string
	Doctor   bool
	Org      string   // practitioners: Organization id
	Children []string // Patient ids this person may see as a parent
	Treats   []string // practitioners: Patient ids
	About    []string // profiles of the record, see records.go
}

// Name is the display name.
func (p Person) Name() string {
	if p.Doctor {
		return "Dr " + p.Given + " " + p.Family
	}
	return p.Given + " " + p.Family
}

// FHIRUser is the relative reference of the person.
func (p Person) FHIRUser() string {
	if p.Doctor {
		return "Practitioner/" + p.ID
	}
	return "Patient/" + p.ID
}

// Organizations of the demo. The first runs the resource server and is the custodian of records nobody has claimed.
var Organizations = []struct{ ID, Name string }{
	{"harborview", "Harborview Clinic"},
	{"lakeside", "Lakeside Hospital"},
}

// Administrator is the one account with the admin role.
const Administrator = "admin"

// People are the demo's people in a fixed order.
var People = []Person{
	{ID: "maria", Given: "Maria", Family: "Alvarez", Sex: "female", Birth: "1988-03-14", Login: "maria", Children: []string{"abigail"}, About: []string{"penicillin", "asthma", "vaccinated"}},
	{ID: "tomas", Given: "Tomás", Family: "Alvarez", Sex: "male", Birth: "1986-11-02", Login: "tomas", Children: []string{"abigail"}, About: []string{"peanut", "vaccinated"}},
	{ID: "abigail", Given: "Abigail", Family: "Alvarez", Sex: "female", Birth: "2018-06-21", About: []string{"egg", "vaccinated"}},
	{ID: "grace", Given: "Grace", Family: "Okafor", Sex: "female", Birth: "1951-01-30", Login: "grace", About: []string{"hypertension", "diabetes", "latex"}},
	{ID: "daniel", Given: "Daniel", Family: "Okafor", Sex: "male", Birth: "1979-08-17", Login: "daniel", Children: []string{"noah"}, About: []string{"hypertension", "vaccinated"}},
	{ID: "noah", Given: "Noah", Family: "Okafor", Sex: "male", Birth: "2012-04-05", About: []string{"asthma", "peanut"}},
	{ID: "erik", Given: "Erik", Family: "Lindqvist", Sex: "male", Birth: "1944-12-09", Login: "erik", About: []string{"diabetes", "hypertension", "penicillin"}},
	{ID: "layla", Given: "Layla", Family: "Haddad", Sex: "female", Birth: "1996-05-27", Login: "layla", Children: []string{"sami"}, About: []string{"vaccinated"}},
	{ID: "sami", Given: "Sami", Family: "Haddad", Sex: "male", Birth: "2026-02-11", About: []string{"newborn"}},
	{ID: "ivan", Given: "Ivan", Family: "Petrov", Sex: "male", Birth: "1967-07-19", Login: "ivan", About: []string{"diabetes", "latex"}},
	{ID: "linh", Given: "Linh", Family: "Nguyen", Sex: "female", Birth: "2003-09-08", Login: "linh", About: []string{"asthma", "egg", "vaccinated"}},
	{ID: "fiona", Given: "Fiona", Family: "Walsh", Sex: "female", Birth: "1959-10-23", Login: "fiona", About: []string{"hypertension"}},
	{ID: "ravi", Given: "Ravi", Family: "Menon", Sex: "male", Birth: "1990-02-28", Login: "ravi", About: []string{"penicillin", "peanut", "vaccinated"}},
	{ID: "kim", Given: "Hana", Family: "Kim", Sex: "female", Birth: "1975-05-05", Login: "kim", Doctor: true, Org: "harborview", Treats: []string{"grace", "daniel", "noah"}},
	{ID: "osei", Given: "Samuel", Family: "Osei", Sex: "male", Birth: "1970-03-03", Login: "osei", Doctor: true, Org: "lakeside", Treats: []string{"erik"}},
}
