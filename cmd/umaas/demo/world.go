package demo

// World is what the demo prints once everything answers: with --json as one line, otherwise in words.
type World struct {
	Issuer   string       `json:"issuer"`
	RS       string       `json:"resource_server"`
	FHIRBase string       `json:"fhir_base"`
	Resolver Resolvers    `json:"resolver"`
	Clinic   string       `json:"flu_clinic"`
	Admin    Credential   `json:"admin"`
	App      AppIdentity  `json:"app"`
	Server   AppIdentity  `json:"resource_server_client"`
	People   []Credential `json:"people"`
	Patients []string     `json:"patients"`
	Data     string       `json:"data"`
	Second   *Second      `json:"second_issuer,omitempty"`
}

// Second is an authorization server beside the hospital's, and the person whose record it guards.
type Second struct {
	Issuer string      `json:"issuer"`
	App    AppIdentity `json:"app"`    // the Flu Clinic's registration there
	Person Credential  `json:"person"` // how she signs in there
	Listed bool        `json:"listed"` // the hospital lists it; otherwise it is a stranger she names herself
}

// Resolvers are the two entries of the resolution service.
type Resolvers struct {
	User    string `json:"user"`
	Patient string `json:"patient"`
}

// AppIdentity is the Flu Clinic's registration, for scripts that want to play the app.
type AppIdentity struct {
	ClientID          string `json:"client_id"`
	ClientSecret      string `json:"client_secret"`
	RedirectURI       string `json:"redirect_uri,omitempty"`
	ClaimsRedirectURI string `json:"claims_redirect_uri,omitempty"`
}

// Credential is somebody to sign in as.
type Credential struct {
	Name     string   `json:"name"`
	Login    string   `json:"login"`
	Password string   `json:"password"`
	FHIRUser string   `json:"fhir_user,omitempty"`
	Patient  string   `json:"patient,omitempty"`
	Children []string `json:"children,omitempty"`
}
