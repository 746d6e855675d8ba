package rules

// Spec is what a user writes: how a record of the log looks, and the rules that its records are held against. The same
// keys stand in the configuration of the receiver and in a rules file of their own.
type Spec struct {
	// Workflow names the workflow; may hold captures of the file name. Empty: the log's name without its extension.
	Workflow string `mapstructure:"workflow" yaml:"workflow"`
	// FileName is a pattern for the name of the log, whose captures every rule can use.
	FileName string `mapstructure:"file_name" yaml:"file_name"`
	// Line is the pattern of a record's first line, with {message}, or "json". Lines that it does not fit belong to the
	// record before them. Empty: the whole line is the message.
	Line string `mapstructure:"line" yaml:"line"`
	// Multiline says where a record starts, when Line does not.
	Multiline Multiline `mapstructure:"multiline" yaml:"multiline"`
	// Encoding of the log, by its IANA name. Empty: utf-8.
	Encoding string `mapstructure:"encoding" yaml:"encoding"`
	// TimeFormat is the form of {x:time}, in the letters of Python's strftime. Empty: ISO 8601, as Python's logging.
	TimeFormat string `mapstructure:"time_format" yaml:"time_format"`
	// Timezone of times without one: "Europe/Berlin", "UTC", "+01:00". Empty: the zone of this machine.
	Timezone string `mapstructure:"timezone" yaml:"timezone"`
	// BaseDir is where relative paths in the log start; may hold {log_dir} and captures of the context. Empty: the log's
	// directory.
	BaseDir string `mapstructure:"base_dir" yaml:"base_dir"`
	// Unfinished says what becomes of tasks that are open when their run ends: "lost" (default) or "running".
	Unfinished string `mapstructure:"unfinished" yaml:"unfinished"`
	// Ignore lists patterns of messages that are known and say nothing about tasks.
	Ignore []string `mapstructure:"ignore" yaml:"ignore"`
	// Rules are tried in their order; the first that fits a record takes it.
	Rules []Rule `mapstructure:"rules" yaml:"rules"`
	// prevent unkeyed literal initialization
	_ struct{}
}

// Multiline says where a record of several lines starts.
type Multiline struct {
	// StartsWith is a regular expression that fits the first line of every record.
	StartsWith string `mapstructure:"starts_with" yaml:"starts_with"`
	// prevent unkeyed literal initialization
	_ struct{}
}

// Rule says which records it is for and what they tell.
type Rule struct {
	Name string `mapstructure:"name" yaml:"name"`

	// Match is a pattern that the message must fit as a whole: text with {name} or {name:type} where values stand.
	Match string `mapstructure:"match" yaml:"match"`
	// Regex is a regular expression (RE2) with named groups, searched in the message.
	Regex string `mapstructure:"regex" yaml:"regex"`
	// Where asks for captures with these values; "/…/" is a regular expression.
	Where map[string]any `mapstructure:"where" yaml:"where"`
	// Types gives types to the groups of Regex and to the fields of JSON lines.
	Types map[string]string `mapstructure:"types" yaml:"types"`

	// BeginsRun and EndsRun mark the boundaries of a run of the script.
	BeginsRun bool `mapstructure:"begins_run" yaml:"begins_run"`
	EndsRun   bool `mapstructure:"ends_run" yaml:"ends_run"`
	// Run is the script's own name of the run, with BeginsRun.
	Run string `mapstructure:"run" yaml:"run"`

	// Starts, Updates, Ends, Fails, Cancels and WholeTask name the activity of the task that the record is about.
	Starts    string `mapstructure:"starts" yaml:"starts"`
	Updates   string `mapstructure:"updates" yaml:"updates"`
	Ends      string `mapstructure:"ends" yaml:"ends"`
	Fails     string `mapstructure:"fails" yaml:"fails"`
	Cancels   string `mapstructure:"cancels" yaml:"cancels"`
	WholeTask string `mapstructure:"whole_task" yaml:"whole_task"`
	// Task tells the tasks of one activity in one run apart. Empty: they are numbered, and one is open at a time.
	Task string `mapstructure:"task" yaml:"task"`

	// Used, Generated and Context are lists of captures, or maps from a field to its value.
	Used      any `mapstructure:"used" yaml:"used"`
	Generated any `mapstructure:"generated" yaml:"generated"`
	// Context holds for the tasks that start later in the run, until it is replaced.
	Context any `mapstructure:"context" yaml:"context"`
	// Forget lists fields of the context that no longer hold.
	Forget []string `mapstructure:"forget" yaml:"forget"`

	// Time, Started, Ended and Took override the times; Time is {time} where there is such a capture.
	Time    string `mapstructure:"time" yaml:"time"`
	Started string `mapstructure:"started" yaml:"started"`
	Ended   string `mapstructure:"ended" yaml:"ended"`
	Took    string `mapstructure:"took" yaml:"took"`

	// Error and ErrorType describe why a task failed.
	Error     string `mapstructure:"error" yaml:"error"`
	ErrorType string `mapstructure:"error_type" yaml:"error_type"`
	// prevent unkeyed literal initialization
	_ struct{}
}

// action is what a record does to its task.
type action int

const (
	actNone action = iota
	actStart
	actUpdate
	actEnd
	actFail
	actCancel
	actWhole
)

func (a action) ends() bool { return a >= actEnd }

// actions lists the keys of a rule that name an activity.
func (r *Rule) actions() []struct {
	key      string
	act      action
	activity string
} {
	return []struct {
		key      string
		act      action
		activity string
	}{
		{"starts", actStart, r.Starts},
		{"updates", actUpdate, r.Updates},
		{"ends", actEnd, r.Ends},
		{"fails", actFail, r.Fails},
		{"cancels", actCancel, r.Cancels},
		{"whole_task", actWhole, r.WholeTask},
	}
}
