package task

// Attribute names of task events (docs/data-model.md). Everything else on a record is a semantic convention by its own
// name.
const (
	AttrKind             = "mida.task.kind"
	AttrScope            = "mida.task.scope"
	AttrKey              = "mida.task.key"
	AttrExecution        = "mida.task.execution"
	AttrAttempt          = "mida.task.attempt"
	AttrFacet            = "mida.task.facet"
	AttrStatus           = "mida.task.status"
	AttrCampaign         = "mida.campaign.id"
	AttrWorkflowID       = "mida.workflow.id"
	AttrWorkflowName     = "mida.workflow.name"
	AttrWorkflowParentID = "mida.workflow.parent_id"
	AttrActivity         = "mida.activity.id"
	AttrSubmittedAt      = "mida.task.submitted_at"
	AttrStartedAt        = "mida.task.started_at"
	AttrEndedAt          = "mida.task.ended_at"
	AttrParent           = "mida.task.parent"
	AttrDependencies     = "mida.task.dependencies"
	AttrRefs             = "mida.task.refs"
	AttrPaths            = "mida.paths"
	AttrUsed             = "mida.used"
	AttrGenerated        = "mida.generated"
	AttrTelemetryStart   = "mida.telemetry.start"
	AttrTelemetryEnd     = "mida.telemetry.end"
	AttrTelemetryPeak    = "mida.telemetry.peak"
	AttrTelemetryDelta   = "mida.telemetry.delta"
	AttrTelemetryCover   = "mida.telemetry.coverage"
	AttrEnvironment      = "mida.environment"
	AttrClaims           = "mida.claims"
	AttrStdout           = "mida.task.stdout"
	AttrStderr           = "mida.task.stderr"
	AttrTags             = "mida.tags"
	AttrCustom           = "mida.custom"
	AttrObserverID       = "mida.observer.id"
	AttrObserverSeq      = "mida.observer.seq"

	// AttrSite is a resource attribute: the site of the collector that saw the task.
	AttrSite = "mida.site"
	// AttrJobPrefix starts the attributes of the batch job: mida.job.id, .cluster, .array, .step, .restart.
	AttrJobPrefix = "mida.job."
)
