{{- define "knative-lambda.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "knative-lambda.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "knative-lambda.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "knative-lambda.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects the pods. It must not change during a release's life. */}}
{{- define "knative-lambda.selector" -}}
app: {{ include "knative-lambda.name" . }}
app.kubernetes.io/name: {{ include "knative-lambda.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "knative-lambda.labels" -}}
{{ include "knative-lambda.selector" . }}
app.kubernetes.io/part-of: knative-lambda
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "knative-lambda.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "knative-lambda.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "knative-lambda.pullSecretName" -}}
{{- .Values.pullSecret.name | default (printf "%s-pull" (include "knative-lambda.fullname" .)) -}}
{{- end -}}

{{/* The list of pull secrets: those that exist and the one that this chart writes. */}}
{{- define "knative-lambda.imagePullSecrets" -}}
{{- $secrets := .Values.imagePullSecrets -}}
{{- if .Values.pullSecret.create -}}
{{- $secrets = append $secrets (dict "name" (include "knative-lambda.pullSecretName" .)) | uniq -}}
{{- end -}}
{{- with $secrets -}}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* The reference of a component's image: its digest where there is one, else its tag. */}}
{{- define "knative-lambda.image" -}}
{{- $shared := .root.Values.image -}}
{{- $own := .component.image -}}
{{- $name := printf "%s/%s" ($own.registry | default $shared.registry) $own.repository -}}
{{- if $own.digest -}}
{{- printf "%s@%s" $name $own.digest -}}
{{- else -}}
{{- printf "%s:%s" $name ($own.tag | default $shared.tag | default (printf "v%s" .root.Chart.AppVersion)) -}}
{{- end -}}
{{- end -}}

{{/* What all containers have in common. Takes root, component, name, port and env. */}}
{{- define "knative-lambda.container" -}}
name: {{ .name }}
image: {{ include "knative-lambda.image" . | quote }}
imagePullPolicy: {{ .component.image.pullPolicy | default .root.Values.image.pullPolicy }}
terminationMessagePolicy: FallbackToLogsOnError
ports:
  - name: {{ .portName }}
    containerPort: {{ .port }}
    protocol: TCP
env:
  - name: PORT
    value: {{ .port | quote }}
  {{- range $key, $value := merge (dict) .component.env .env }}
  - name: {{ $key }}
    value: {{ $value | quote }}
  {{- end }}
startupProbe:
  httpGet: {path: /healthz, port: {{ .portName }}}
  periodSeconds: 2
  failureThreshold: 30
livenessProbe:
  httpGet: {path: /healthz, port: {{ .portName }}}
  periodSeconds: 20
  timeoutSeconds: 3
readinessProbe:
  httpGet: {path: /readyz, port: {{ .portName }}}
  periodSeconds: 5
  timeoutSeconds: 3
securityContext:
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
  readOnlyRootFilesystem: true
resources:
  {{- toYaml .component.resources | nindent 2 }}
{{- end -}}
