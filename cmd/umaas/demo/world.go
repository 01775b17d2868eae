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
