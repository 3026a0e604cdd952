{{/*
The chart is the only place that turns a trial into an identity and a Job: this file holds the rules, job.yaml applies
them to every trial. Objects are written as one JSON value per top-level key, which YAML readers accept and scripts
read back at the speed of a JSON parser. Whatever comes from a person goes into the text by toJson, keys too: YAML 1.1
takes a bare `n` for false and `1e3` for 1000, and `fromYaml` reads by its rules.
*/}}

{{/* The keys of a map, a line each. Of a whole object: the form that scripts read. */}}
{{- define "helm-sweep.keys" -}}
{{- if hasKey . "Error" }}{{ fail (get . "Error") }}{{ end -}}
{{- range $key, $value := . }}
{{ $key }}: {{ toJson $value }}
{{- end }}
{{- end }}

{{/* The releases that are rendered: this one, or all of a sweep at once, whose trials go by their ids. JSON. */}}
{{- define "helm-sweep.releases" -}}
{{ .Values.releases | default (list .Release.Name) | toJson }}
{{- end }}

{{/* ---- names: each spelled once ---- */}}

{{- define "helm-sweep.runner.name" -}}
{{ .Release.Name }}-runner-{{ include "helm-sweep.runner.files" . | sha256sum | trunc 12 }}
{{- end }}

{{- define "helm-sweep.claim.name" -}}
{{- with include "helm-sweep.claim.spec" . }}{{ $.Release.Name }}-gpu-{{ sha256sum . | trunc 12 }}{{ end -}}
{{- end }}

{{- define "helm-sweep.code.name" -}}
{{ .Release.Name }}-code-{{ include "helm-sweep.code.hash" . | trunc 12 }}
{{- end }}

{{- define "helm-sweep.provenance.name" -}}
{{ .Release.Name }}-provenance
{{- end }}

{{- define "helm-sweep.labels" -}}
app.kubernetes.io/name: helm-sweep
app.kubernetes.io/instance: {{ toJson .Release.Name }}
app.kubernetes.io/managed-by: {{ toJson .Release.Service }}
helm-sweep/sweep: {{ toJson .Values.sweep }}
{{- end }}

{{/* ---- what the Pod finds below /sweep/runner ---- */}}

{{/* The runner, the same for every image and language, and what fetches code from Git. ssh refuses a uid without a
passwd entry. JSON: file name -> text. */}}
{{- define "helm-sweep.runner.files" -}}
{{- $files := dict -}}
{{- $reading := empty .Values.metrics | ternary list (list "reading" "resuming" "rows" "printed" "written") -}}
{{- range $source := .Values.metrics }}
  {{- with get (dict "tensorboard" "events" "mlflow" "mlruns") (toString $source.from) }}{{ $reading = append $reading . | uniq }}{{ end -}}
{{ end -}}
{{- $passing := or (include "helm-sweep.passing.always" . | empty | not) (include "helm-sweep.passing.placeholders" . | ne "{}") | ternary (list "passing") list -}}
{{- $always := list "trial" "arguments" "attempts" "checks" "command" "ending" "environment" "folders" "identity" "keeping" "lineage" "metrics" "observing" "outputs" "placing" "processes" "results" -}}
{{- $stopping := empty .Values.stop | ternary list (list "stopping" "rules") -}}
{{- $several := gt (int64 .Values.nodes) 1 | ternary (list "nodes") list -}}
{{- range $module := concat $always $passing $reading $stopping $several }}{{ $name := printf "%s.py" $module }}{{ $_ := set $files $name ($.Files.Get (printf "files/%s" $name)) }}{{ end -}}
{{- if eq .Values.code.source "git" -}}
  {{- $_ := set $files "clone.sh" (.Files.Get "files/clone.sh") -}}
  {{- $_ := set $files "passwd" (printf "trial:x:%d:%d::/tmp:/bin/sh\n" (int .Values.security.runAsUser) (int .Values.security.runAsGroup)) -}}
{{- end -}}
{{- toJson $files -}}
{{- end }}

{{/* ---- the parts of an identity that need a rule; job.yaml puts them together ---- */}}

{{/* Hash of the code: of exactly what the ConfigMap holds, or Git's own. Empty when the code is in the image. */}}
{{- define "helm-sweep.code.hash" -}}
{{- if eq .Values.code.source "bundle" }}{{ toJson .Values.code.files | sha256sum }}
{{- else if eq .Values.code.source "git" }}git-tree:{{ .Values.code.tree }}
{{- end -}}
{{- end }}

{{/* The image as the identity knows it: the digest alone if there is one, so that a mirror keeps the ids. */}}
{{- define "helm-sweep.image.identity" -}}
{{- with .Values.image }}{{ .digest | default (printf "%s:%s" .repository .tag) }}{{ end -}}
{{- end }}

{{- define "helm-sweep.image" -}}
{{- with .Values.image }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}{{ end -}}
{{- end }}

{{/* How metrics are read, as far as it changes the result: `take: last` is the default, and which column is the epoch only
matters where it tells what is one row. Empty where the command writes METRICS_FILE. JSON. */}}
{{- define "helm-sweep.metrics.identity" -}}
{{- $sources := list -}}
{{- range .Values.metrics -}}
  {{- $source := deepCopy . -}}
  {{- if eq (toString $source.take) "last" }}{{ $_ := unset $source "take" }}{{ end -}}
  {{- if not (kindIs "map" $source.take) }}{{ $_ := unset $source "step" }}{{ end -}}
  {{- $sources = append $sources $source -}}
{{- end -}}
{{- toJson $sources -}}
{{- end }}

{{/* The epoch of each source, null where it is not named; empty where none is. JSON. */}}
{{- define "helm-sweep.metrics.steps" -}}
{{- $steps := list -}}
{{- $named := false -}}
{{- range .Values.metrics -}}
  {{- $steps = append $steps (get . "step" | default nil) -}}
  {{- if .step }}{{ $named = true }}{{ end -}}
{{- end -}}
{{- $named | ternary (toJson $steps) "[]" -}}
{{- end }}

{{/* What an hour of one GPU costs on the nodes that nodeSelector asks for, JSON; empty where nothing says so. */}}
{{- define "helm-sweep.price" -}}
{{- $selected := .Values.nodeSelector | default (get (.Values.pod | default dict) "nodeSelector") | default dict -}}
{{- $price := dict -}}
{{- with .Values.prices -}}
  {{- range $entry := .nodes -}}
    {{- $fits := empty $price -}}
    {{- range $name, $value := $entry.labels }}{{ if ne (toString (get $selected $name)) $value }}{{ $fits = false }}{{ end }}{{ end -}}
    {{- if $fits }}{{ $price = dict "gpu_hour" $entry.gpu_hour "currency" $.Values.prices.currency "spot" (default false $entry.spot) }}{{ end -}}
  {{- end -}}
{{- end -}}
{{- if $price }}{{ toJson $price }}{{ end -}}
{{- end }}

{{/* ---- checks that the schema cannot say in words ---- */}}

{{/* What YAML spoils on its way here or from here: a bare `n` as a key, and characters that are written raw but cannot be
read (NUL: no process can be given it). Hyperparameters have the schema for it. Takes (dict "value" ANY "key" STRING "depth" INT). */}}
{{- define "helm-sweep.check.spelling" -}}
{{- if gt (int .depth) 60 }}{{ fail (printf "%s: nested more than 60 levels deep; a few are all that is needed" (trunc 80 .key)) }}{{ end -}}
{{- if kindIs "map" .value -}}
  {{- range $name, $value := .value -}}
    {{- $key := empty $.key | ternary $name (printf "%s.%s" $.key $name) -}}
    {{- if eq $name "<<" }}{{ fail (printf "%s: merge keys are not YAML 1.2; write the keys out" $key) }}{{ end -}}
    {{- if has $name (list "true" "false") }}{{ fail (printf "%s: a bare y, yes, on, n, no or off is true or false to Helm; put the key in quotes, or take another" $key) }}{{ end -}}
    {{- include "helm-sweep.check.spelling" (dict "value" $name "key" $key "depth" $.depth) -}}
    {{- include "helm-sweep.check.spelling" (dict "value" $value "key" $key "depth" (add1 $.depth)) -}}
  {{- end -}}
{{- else if kindIs "slice" .value -}}
  {{- range $index, $value := .value -}}
    {{- include "helm-sweep.check.spelling" (dict "value" $value "key" (printf "%s[%d]" $.key $index) "depth" (add1 $.depth)) -}}
  {{- end -}}
{{- else if kindIs "string" .value -}}
  {{- if regexMatch `[\x00\x7f-\x9f\x{feff}\x{fffe}\x{ffff}]` .value }}{{ fail (printf "%s: holds a control character (NUL, or U+007F to U+009F) or a byte order mark, which cannot be carried to a Pod; remove it" .key) }}{{ end -}}
{{- end -}}
{{- end }}

{{- define "helm-sweep.metrics.check" -}}
{{- $formats := dict "output" (list "name=value" "name: value" "json" "table") "file" (list "csv" "jsonl" "json") -}}
{{- $named := dict -}}
{{- range $place, $source := .Values.metrics -}}
  {{- $key := printf "metrics[%d]" $place -}}
  {{- $known := get (dict "output" (list "pattern" "format" "step") "file" (list "path" "format" "step")) $source.from | default (list "path") -}}
  {{- range $name, $_ := $source -}}
    {{- if not (has $name (concat $known (list "from" "take" "names"))) }}{{ fail (printf "%s.%s: is not for `from: %s`, which has %s, take and names; remove it" $key $name $source.from (join ", " $known)) }}{{ end -}}
  {{- end -}}
  {{- if and (eq $source.from "output") (eq (hasKey $source "pattern") (hasKey $source "format")) }}{{ fail (printf "%s: needs either a pattern or a format, as in `{from: output, format: 'name=value'}`" $key) }}{{ end -}}
  {{- if and (ne $source.from "output") (not $source.path) }}{{ fail (printf "%s.path: is missing; name the file in the working folder, as in `path: 'runs/*/metrics.csv'`" $key) }}{{ end -}}
  {{- if and (eq $source.from "file") (not $source.format) }}{{ fail (printf "%s.format: is missing; write csv, jsonl or json" $key) }}{{ end -}}
  {{- if and $source.format (not (has $source.format (get $formats $source.from))) }}{{ fail (printf "%s.format: %s is not for `from: %s`; write %s" $key $source.format $source.from (join ", " (get $formats $source.from))) }}{{ end -}}
  {{- if has ".." (splitList "/" ($source.path | default "")) }}{{ fail (printf "%s.path: leads out of the working folder; write a path in it" $key) }}{{ end -}}
  {{- if and (kindIs "map" $source.take) (ne (len $source.take) 1) }}{{ fail (printf "%s.take: needs one of max and min, as in `take: {max: accuracy}`" $key) }}{{ end -}}
  {{- range $name, $_ := $source.names -}}
    {{- if hasKey $named $name }}{{ fail (printf "%s.names.%s: %s names this metric too; take another name" $key $name (get $named $name)) }}{{ end -}}
    {{- $_ := set $named $name $key -}}
  {{- end -}}
{{- end -}}
{{- end }}

{{/* Takes (dict "Values" VALUES "key" STRING). */}}
{{- define "helm-sweep.image.check" -}}
{{- with .Values.image -}}
{{- if not .repository }}{{ fail (printf "%s.repository: name the image that trials run in" $.key) }}{{ end -}}
{{- if not (or .digest .tag) }}{{ fail (printf "%s.tag: give a tag, or better image.digest" $.key) }}{{ end -}}
{{- if and $.Values.strict (not .digest) }}{{ fail (printf "%s.digest: is missing, and strict is true; write the digest of the image, sha256:…, or `strict: false`" $.key) }}{{ end -}}
{{- end -}}
{{- end }}

{{- define "helm-sweep.check" -}}
{{- include "helm-sweep.metrics.check" . -}}
{{- include "helm-sweep.secrets.check" . -}}
{{- $checked := set (omit .Values "trials" "code") "code" (omit .Values.code "files") -}}
{{- include "helm-sweep.check.spelling" (dict "value" $checked "key" "" "depth" 0) -}}
{{- with .Values -}}
{{- if not .sweep }}{{ fail "sweep: give the sweep a name, as in `sweep: quickstart`" }}{{ end -}}
{{- if not .trials }}{{ fail "trials: the list is empty; add a trial, or let `make sweep` expand space.yaml" }}{{ end -}}
{{- if not .command }}{{ fail "command: say what a trial runs, as in `command: [python, train.py]`" }}{{ end -}}
{{- include "helm-sweep.image.check" (dict "Values" . "key" "image") -}}
{{- if not .objective }}{{ fail "objective: name the metric that ranks trials, as in `objective: {metric: val_accuracy, direction: maximize}`" }}{{ end -}}
{{- $shared := include "helm-sweep.hyperparameters" $ | fromJson -}}
{{- if hasKey $shared "seed" }}{{ fail "hyperparameters.seed: reserved for the seed of a trial; set it in `trials`" }}{{ end -}}
{{- range $name := list "resources" "gpu" "limit_seconds" "image" -}}
  {{- if hasKey $shared $name }}{{ fail (printf "hyperparameters.%s: reserved; set `%s` beside hyperparameters, or rename it" $name $name) }}{{ end -}}
{{- end -}}
{{- if and .code.files (ne .code.source "bundle") }}{{ fail "code.files: only read with code.source: bundle" }}{{ end -}}
{{- if and (eq .code.source "bundle") (not .code.files) }}{{ fail "code.files: a bundle without files; `make sweep` (expand --repin) writes them" }}{{ end -}}
{{- if eq .code.source "git" -}}
  {{- range $name := list "url" "commit" "tree" -}}
    {{- if not (get $.Values.code $name) }}{{ fail (printf "code.%s: is missing, for code.source: git needs it; `make sweep` (expand --repin) pins commit and tree" $name) }}{{ end -}}
  {{- end -}}
  {{- range $name := list "commit" "tree" -}}
    {{- if not (regexMatch "^([0-9a-f]{40}|[0-9a-f]{64})$" (get $.Values.code $name)) }}{{ fail (printf "code.%s: is not a whole hash of Git's; `make sweep` (expand --repin) writes it" $name) }}{{ end -}}
  {{- end -}}
{{- end -}}
{{- if and .data.at (not (include "helm-sweep.data.mounted" $)) }}{{ fail "data.at: is set, and data.volume is not; name the volume of the data set" }}{{ end -}}
{{- if and .priority (not .queue) }}{{ fail "priority: says who goes first in a queue; set `queue` too, or take it away" }}{{ end -}}
{{- if and .queue .suspend }}{{ fail "suspend: must be false with a queue, for Kueue decides when the Jobs start" }}{{ end -}}
{{- end -}}
{{- include "helm-sweep.passing.check" . -}}
{{- include "helm-sweep.stop.check" . -}}
{{- include "helm-sweep.names.check" . -}}
{{- end }}

{{/* Which of nfs, pvc and hostPath a volume has: a list, empty where it is null or all of them are. JSON. */}}
{{- define "helm-sweep.volume.kinds" -}}
{{- $kinds := list -}}
{{- range $kind := list "nfs" "pvc" "hostPath" -}}
  {{- if get ($ | default dict) $kind }}{{ $kinds = append $kinds $kind }}{{ end -}}
{{- end -}}
{{- toJson $kinds -}}
{{- end }}

{{/* Not empty where the sweep has a data volume. */}}
{{- define "helm-sweep.data.mounted" -}}
{{- if include "helm-sweep.volume.kinds" .Values.data.volume | fromJsonArray }}true{{ end -}}
{{- end }}

{{/* The source of a volume. Takes (dict "volume" MAP "key" STRING "readOnly" BOOL); `key` is for the message. */}}
{{- define "helm-sweep.volume" -}}
{{- $kinds := include "helm-sweep.volume.kinds" .volume | fromJsonArray -}}
{{- if gt (len $kinds) 1 -}}
  {{- fail (printf "%s: has %s; keep one (what a lower values file sets is switched off by null, as in `%s: null`)" .key (join " and " $kinds) (first $kinds)) -}}
{{- else if not $kinds -}}
  {{- fail (printf "%s: name one of nfs, pvc and hostPath, as in `%s: {nfs: {server: nfs.example.org, path: /export}}`" .key .key) -}}
{{- else if .volume.nfs -}}
{{ dict "nfs" (dict "server" .volume.nfs.server "path" .volume.nfs.path "readOnly" .readOnly) | toJson }}
{{- else if .volume.pvc -}}
{{ dict "persistentVolumeClaim" (dict "claimName" .volume.pvc.claimName "readOnly" .readOnly) | toJson }}
{{- else -}}
{{ dict "hostPath" (dict "path" .volume.hostPath.path "type" "Directory") | toJson }}
{{- end -}}
{{- end }}

{{/* ---- the Job ---- */}}

{{/* Those that all trials share. One that is null is none, here as in a trial. JSON. */}}
{{- define "helm-sweep.hyperparameters" -}}
{{- include "helm-sweep.laid" (dict "lower" dict "upper" (.Values.hyperparameters | default dict)) -}}
{{- end }}

{{/* `upper` over `lower` as helm merges values: maps key by key, null takes away. JSON. */}}
{{- define "helm-sweep.laid" -}}
{{- $laid := deepCopy .lower -}}
{{- range $key, $value := .upper -}}
  {{- $below := get $laid $key -}}
  {{- if kindIs "invalid" $value -}}
    {{- $_ := unset $laid $key -}}
  {{- else if and (kindIs "map" $value) (kindIs "map" $below) -}}
    {{- $_ := set $laid $key (include "helm-sweep.laid" (dict "lower" $below "upper" $value) | fromJson) -}}
  {{- else -}}
    {{- $_ := set $laid $key $value -}}
  {{- end -}}
{{- end -}}
{{- toJson $laid -}}
{{- end }}

{{/* The folders of the store that a trial may write, and so the only ones that its container mounts: "@trial.folder@"
and "@lineage.folder@" stand in for <id[:2]>/<id> of either. The rungs of a stop rule it shares with its peers. */}}
{{- define "helm-sweep.store.folders" -}}
{{- $folders := list "trials/@trial.folder@" "checkpoints/@lineage.folder@" -}}
{{- if .Values.stop }}{{ $folders = append $folders (printf "rungs/%s" (include "helm-sweep.stop.group" .)) }}{{ end -}}
{{- toJson $folders -}}
{{- end }}

{{/* Metadata of a Job as JSON, with the labels by which Kueue knows it. Takes (dict "metadata" MAP "queued" MAP), where
`queued` has `queue` and `priority`: the sweep's values, or what one trial's Job keeps of them. */}}
{{- define "helm-sweep.job.metadata" -}}
{{- $labels := deepCopy .metadata.labels -}}
{{- with .queued.queue }}{{ $_ := set $labels "kueue.x-k8s.io/queue-name" . }}{{ end -}}
{{- with .queued.priority }}{{ $_ := set $labels "kueue.x-k8s.io/priority-class" . }}{{ end -}}
{{- set (deepCopy .metadata) "labels" $labels | toJson -}}
{{- end }}

{{/* The Job spec without what differs between trials: "@trial.json@", "@trial.id@" and the above stand in for it. */}}
{{- define "helm-sweep.job.spec" -}}
backoffLimit: {{ int64 .Values.backoffLimit }}
completions: {{ int64 .Values.nodes }}
parallelism: {{ int64 .Values.nodes }}
{{- if gt (int64 .Values.nodes) 1 }}
completionMode: Indexed
{{- end }}
{{- if .Values.suspend }}
suspend: true
{{- end }}
{{- if not (kindIs "invalid" .Values.ttlSecondsAfterFinished) }}
ttlSecondsAfterFinished: {{ int64 .Values.ttlSecondsAfterFinished }}
{{- end }}
# 143 is never matched: a Pod-level deadline ends in 143 too, and ignoring it would loop for ever.
podFailurePolicy:
  rules:
    - action: Ignore
      onPodConditions: [{type: DisruptionTarget, status: "True"}]
    {{- range concat (list "trial") (include "helm-sweep.init.names" . | fromJsonArray) }}
    - action: FailJob
      onExitCodes: {containerName: {{ . }}, operator: In, values: [64, 65, 66, 67]}
    {{- end }}
    {{- if gt (int64 .Values.nodes) 1 }}
    # Another node ended the attempt, and node 0 counts for all.
    - action: Ignore
      onExitCodes: {containerName: trial, operator: In, values: [69]}
    {{- end }}
template:
  metadata:
    labels:
      {{- include "helm-sweep.labels" . | nindent 6 }}
      helm-sweep/trial: "@trial.id@"
      {{- range $name, $value := .Values.podLabels }}
      {{ toJson $name }}: {{ toJson $value }}
      {{- end }}
    {{- with include "helm-sweep.pod.annotations" . | fromJson }}
    annotations: {{ toJson . }}
    {{- end }}
  spec: {{ include "helm-sweep.pod.spec" . }}
{{- end }}

{{/* The user's, and the kinds of GPU by name: Kueue writes the labels of the one it takes into the Pod's nodeSelector. JSON. */}}
{{- define "helm-sweep.pod.annotations" -}}
{{- $annotations := deepCopy (.Values.podAnnotations | default dict) -}}
{{- with .Values.gpu.flavors }}{{ $_ := set $annotations "helm-sweep/flavors" (toJson .) }}{{ end -}}
{{- toJson $annotations -}}
{{- end }}

{{/* The Pod spec as JSON: the chart's own, and the free overlay `pod` for every key the chart does not set. */}}
{{- define "helm-sweep.pod.spec" -}}
{{- $spec := include "helm-sweep.pod.own" . | fromYaml -}}
{{- range $key, $value := .Values.pod -}}
  {{- if hasKey $spec $key }}{{ fail (printf "pod.%s: the chart sets this itself; see the chart's README for the value that does it" $key) }}{{ end -}}
  {{- if not (kindIs "invalid" $value) }}{{ $_ := set $spec $key $value }}{{ end -}}
{{- end -}}
{{- with .Values.gpu.flavors -}}
  {{- $terms := list -}}
  {{- range $name, $labels := . -}}
    {{- $asked := list -}}
    {{- range $key, $value := $labels }}{{ $asked = append $asked (dict "key" $key "operator" "In" "values" (list $value)) }}{{ end -}}
    {{- $terms = append $terms (dict "matchExpressions" $asked) -}}
  {{- end -}}
  {{- $required := "requiredDuringSchedulingIgnoredDuringExecution" -}}
  {{- $affinity := deepCopy (get $spec "affinity" | default dict) -}}
  {{- $nodes := get $affinity "nodeAffinity" | default dict -}}
  {{- if get $nodes $required }}{{ fail (printf "pod.affinity.nodeAffinity.%s: gpu.flavors sets this; write what you ask for into the labels of each flavor, or into nodeSelector" $required) }}{{ end -}}
  {{- $_ := set $nodes $required (dict "nodeSelectorTerms" $terms) -}}
  {{- $_ := set $spec "affinity" (set $affinity "nodeAffinity" $nodes) -}}
{{- end -}}
{{- toJson $spec -}}
{{- end }}

{{- define "helm-sweep.pod.own" -}}
{{- $bundle := eq .Values.code.source "bundle" -}}
{{- $git := eq .Values.code.source "git" -}}
restartPolicy: Never
# The backstop behind the runner's own limit. It counts from the Pod's start, so it leaves 600 s to pull the image, and
# as long for the other nodes to come.
activeDeadlineSeconds: {{ add .Values.limit_seconds .Values.terminationGracePeriodSeconds 600 (gt (int64 .Values.nodes) 1 | ternary 600 0) }}
terminationGracePeriodSeconds: {{ int64 .Values.terminationGracePeriodSeconds }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.priorityClassName }}
priorityClassName: {{ toJson . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ toJson . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ int64 .Values.security.runAsUser }}
  runAsGroup: {{ int64 .Values.security.runAsGroup }}
  {{- if not (kindIs "invalid" .Values.security.fsGroup) }}
  fsGroup: {{ int64 .Values.security.fsGroup }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  {{- with .Values.security.supplementalGroups }}
  supplementalGroups: {{ toJson . }}
  {{- end }}
  seccompProfile: {type: RuntimeDefault}
{{- with include "helm-sweep.claim.name" . }}
resourceClaims:
  - {name: gpu, resourceClaimTemplateName: {{ toJson . }}}
{{- end }}
{{- with include "helm-sweep.init.names" . | fromJsonArray }}
initContainers:
  {{- range . }}
  - {{ include (printf "helm-sweep.%s.container" .) $ }}
  {{- end }}
{{- end }}
containers:
  - name: trial
    image: {{ include "helm-sweep.image" . | toJson }}
    {{- with .Values.image.pullPolicy }}
    imagePullPolicy: {{ toJson . }}
    {{- end }}
    command: [python3, -I, -S, /sweep/runner/trial.py]
    args:
      - --results=/sweep/results
      {{- if include "helm-sweep.data.mounted" . }}
      - --data=/sweep/data
      {{- with .Values.data.at }}
      - {{ printf "--data-at=%s" . | replace "$" "$$" | toJson }}
      {{- end }}
      {{- end }}
      {{- if $bundle }}
      - --code=/sweep/code/files.json
      {{- else if $git }}
      - --code=/sweep/code
      {{- end }}
      - --provenance=/sweep/provenance/provenance.json
      - --scratch=/tmp
      - --gpus={{ int64 .Values.gpu.count }}
      {{- if gt (int64 .Values.nodes) 1 }}
      - --nodes={{ int64 .Values.nodes }}
      {{- end }}
      - --grace={{ int64 .Values.terminationGracePeriodSeconds }}
      - --checkpoints={{ .Values.checkpoints }}
      - --outputs={{ eq .Values.outputs.keep "none" | ternary "none" .Values.outputs.max }}
      {{- with .Values.budget }}
      - {{ printf "--budget=%s" . | toJson }}
      {{- end }}
      {{- if .Values.gpu.shared }}
      - --gpu-shared
      {{- end }}
    env:
      - {name: TRIAL, value: "@trial.json@"}
      - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
      - {name: POD_UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}
      - {name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
      {{- if gt (int64 .Values.nodes) 1 }}
      - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
      {{- end }}
      {{- range $name, $value := .Values.env }}
      {{- if kindIs "string" $value }}
      - {name: {{ toJson $name }}, value: {{ toJson $value }}}
      {{- else }}
      - {name: {{ toJson $name }}, valueFrom: {secretKeyRef: {name: {{ toJson $value.secret }}, key: {{ toJson $value.key }}}}}
      {{- end }}
      {{- end }}
    resources: {{ include "helm-sweep.resources" . }}
    terminationMessagePolicy: FallbackToLogsOnError
    securityContext: {{ include "helm-sweep.container.security" . }}
    volumeMounts:
      {{- if .Values.results.isolate }}
      {{- range include "helm-sweep.store.folders" . | fromJsonArray }}
      - {name: results, mountPath: {{ printf "/sweep/results/%s" . | quote }}, subPath: {{ quote . }}}
      {{- end }}
      {{- else }}
      - {name: results, mountPath: /sweep/results}
      {{- end }}
      {{- if include "helm-sweep.data.mounted" . }}
      - {name: data, mountPath: /sweep/data, readOnly: true}
      {{- end }}
      {{- if or $bundle $git }}
      - {name: code, mountPath: /sweep/code, readOnly: true}
      {{- end }}
      - {name: runner, mountPath: /sweep/runner, readOnly: true}
      - {name: provenance, mountPath: /sweep/provenance, readOnly: true}
      - {name: scratch, mountPath: /tmp}
      - {name: shm, mountPath: /dev/shm}
      {{- range .Values.extraVolumeMounts }}
      - {{ toJson . }}
      {{- end }}
volumes:
  - {{ mergeOverwrite (dict "name" "results") (include "helm-sweep.volume" (dict "volume" .Values.results.volume "key" "results.volume" "readOnly" false) | fromJson) | toJson }}
  {{- if include "helm-sweep.data.mounted" . }}
  - {{ mergeOverwrite (dict "name" "data") (include "helm-sweep.volume" (dict "volume" .Values.data.volume "key" "data.volume" "readOnly" true) | fromJson) | toJson }}
  {{- end }}
  {{- if $bundle }}
  - {name: code, configMap: {name: {{ include "helm-sweep.code.name" . | toJson }}}}
  {{- else if $git }}
  - {name: code, emptyDir: {}}
  {{- with .Values.code.secret }}
  # Readable for all: without fsGroup the file is root's. Only the init container has it, and nobody else is in there.
  - {name: deploy-key, secret: {secretName: {{ toJson . }}, defaultMode: 0444}}
  {{- end }}
  {{- end }}
  - {name: runner, configMap: {name: {{ include "helm-sweep.runner.name" . | toJson }}}}
  - {name: provenance, configMap: {name: {{ include "helm-sweep.provenance.name" . | toJson }}, optional: true}}
  - {name: scratch, emptyDir: {}}
  - {name: shm, emptyDir: {medium: Memory, sizeLimit: {{ toJson .Values.sharedMemory }}}}
  {{- range .Values.extraVolumes }}
  - {{ toJson . }}
  {{- end }}
{{- end }}

{{/* What meets Pod Security `restricted`, together with the Pod's own. */}}
{{- define "helm-sweep.container.security" -}}
{{ dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" (dict "drop" (list "ALL")) | toJson }}
{{- end }}

{{/* Names of the init containers, in their order. JSON. */}}
{{- define "helm-sweep.init.names" -}}
{{- $names := list -}}
{{- if .Values.results.isolate }}{{ $names = append $names "store" }}{{ end -}}
{{- if eq .Values.code.source "git" }}{{ $names = append $names "code" }}{{ end -}}
{{- toJson $names -}}
{{- end }}

{{/* The init container that makes the folders of the store that the trial mounts, as the Pod's user: those that are not
there by then the kubelet makes as root. It runs our program alone, so it may see the whole store. JSON. */}}
{{- define "helm-sweep.store.container" -}}
{{- $args := list "--results=/sweep/results" -}}
{{- range include "helm-sweep.store.folders" . | fromJsonArray }}{{ $args = append $args (printf "--make=%s" .) }}{{ end -}}
{{- $container := dict
      "name" "store"
      "image" (include "helm-sweep.image" .)
      "command" (list "python3" "-I" "-S" "/sweep/runner/trial.py")
      "args" (append $args "--scratch=/tmp")
      "env" list
      "resources" (dict "requests" (dict "cpu" "50m" "memory" "64Mi") "limits" (dict "memory" "256Mi"))
      "terminationMessagePolicy" "FallbackToLogsOnError"
      "securityContext" (include "helm-sweep.container.security" . | fromJson)
      "volumeMounts" (list
        (dict "name" "results" "mountPath" "/sweep/results")
        (dict "name" "runner" "mountPath" "/sweep/runner" "readOnly" true)) -}}
{{- with .Values.image.pullPolicy }}{{ $_ := set $container "imagePullPolicy" . }}{{ end -}}
{{- toJson $container -}}
{{- end }}

{{/* The init container that fetches the code from Git. JSON. */}}
{{- define "helm-sweep.code.container" -}}
{{- $mounts := list
      (dict "name" "code" "mountPath" "/sweep/code")
      (dict "name" "runner" "mountPath" "/sweep/runner" "readOnly" true)
      (dict "name" "scratch" "mountPath" "/tmp") -}}
{{- if .Values.code.secret -}}
  {{- $mounts = append $mounts (dict "name" "deploy-key" "mountPath" "/sweep/deploy-key" "readOnly" true) -}}
  {{- $mounts = append $mounts (dict "name" "runner" "mountPath" "/etc/passwd" "subPath" "passwd" "readOnly" true) -}}
{{- end -}}
{{- $words := list -}}
{{- range list .Values.code.url .Values.code.commit .Values.code.tree (.Values.code.path | default "") -}}
  {{- $words = append $words (replace "$" "$$" .) -}}
{{- end -}}
{{- dict
      "name" "code"
      "image" .Values.code.image
      "command" (list "sh" "/sweep/runner/clone.sh")
      "args" (concat $words (list "/sweep/code" "/tmp/clone" "/sweep/deploy-key"))
      "env" (list (dict "name" "HOME" "value" "/tmp"))
      "resources" (dict "requests" (dict "cpu" "50m" "memory" "64Mi") "limits" (dict "memory" "1Gi"))
      "terminationMessagePolicy" "FallbackToLogsOnError"
      "securityContext" (include "helm-sweep.container.security" . | fromJson)
      "volumeMounts" $mounts | toJson -}}
{{- end }}

{{/* Spec of the ResourceClaimTemplate for the GPUs of one trial. JSON; empty where none is asked for that way. */}}
{{- define "helm-sweep.claim.spec" -}}
{{- if and .Values.gpu.claim .Values.gpu.count -}}
{{- $exactly := dict "deviceClassName" .Values.gpu.claim.deviceClassName "allocationMode" "ExactCount" "count" .Values.gpu.count -}}
{{- with .Values.gpu.claim.selector }}{{ $_ := set $exactly "selectors" (list (dict "cel" (dict "expression" .))) }}{{ end -}}
{{- dict "spec" (dict "devices" (dict "requests" (list (dict "name" "gpu" "exactly" $exactly)))) | toJson -}}
{{- end -}}
{{- end }}

{{- define "helm-sweep.resources" -}}
{{- $requests := include "helm-sweep.laid" (dict "lower" dict "upper" .Values.resources.requests) | fromJson -}}
{{- $limits := include "helm-sweep.laid" (dict "lower" dict "upper" .Values.resources.limits) | fromJson -}}
{{- $claims := .Values.resources.claims | default list -}}
{{- range $key, $listed := dict "requests" $requests "limits" $limits -}}
  {{- if hasKey $listed $.Values.gpu.resource }}{{ fail (printf "resources.%s.%s: GPUs are asked for by gpu.count, of the sweep or the trial, by which they are booked too; remove it here" $key $.Values.gpu.resource) }}{{ end -}}
{{- end -}}
{{- if include "helm-sweep.claim.spec" . -}}
  {{- range $claims }}{{ if eq (toString .name) "gpu" }}{{ fail "resources.claims: the claim `gpu` is the one of gpu.claim; take another name" }}{{ end }}{{ end -}}
  {{- $claims = append $claims (dict "name" "gpu") -}}
{{- else if .Values.gpu.count -}}
  {{- $_ := set $requests .Values.gpu.resource .Values.gpu.count -}}
  {{- $_ := set $limits .Values.gpu.resource .Values.gpu.count -}}
{{- end -}}
{{- $resources := dict "requests" $requests "limits" $limits -}}
{{- with $claims }}{{ $_ := set $resources "claims" . }}{{ end -}}
{{- toJson $resources -}}
{{- end }}
