// Of what no request shows: events and payments that do not get on, parts that are away, a vault that says no, replicas
// that have too little. docs/run/alerts.md says of each what to do.

@description('What names start with.')
param baseName string

@description('Where the queries run.')
param location string

@description('Tags of every resource.')
param tags object

@description('Who is told.')
param actionGroupId string

@description('The workspace that has the metrics which the services send.')
param workspaceId string

@description('The vault.')
param keyVaultId string

@description('The container apps; none before the first image.')
param serviceNames array

@description('Seconds for which an event may wait for the broker, and a payment for what is due.')
param lateSeconds int = 120

@description('The hundredths of its cores that a replica may use for a quarter of an hour.')
param cpuPercent int = 85

@description('The hundredths of its memory that a replica may use; at all of it, it is killed.')
param memoryPercent int = 85

var actions = [
  {
    actionGroupId: actionGroupId
  }
]

// Each query ends in one row for each value of `by`, with what is held against the threshold as `Value`.
var questions = [
  {
    name: 'outbox'
    title: 'Events wait for the broker'
    severity: 1
    by: 'AppRoleName'
    threshold: lateSeconds
    query: '''
      AppMetrics
      | where Name == "cludale_outbox_oldest_seconds"
      | summarize Value = max(Sum) by AppRoleName
    '''
  }
  {
    name: 'late-payments'
    title: 'Payments wait for what is due'
    severity: 1
    by: 'AppRoleName'
    threshold: lateSeconds
    query: '''
      AppMetrics
      | where Name == "cludale_payments_late_seconds"
      | summarize Value = max(Sum) by AppRoleName
    '''
  }
  {
    name: 'stuck-refunds'
    title: 'Money does not go back'
    severity: 1
    by: 'AppRoleName'
    threshold: 0
    query: '''
      AppMetrics
      | where Name == "cludale_payments_stuck"
      | summarize Value = sum(Sum) by AppRoleName
    '''
  }
  {
    // Also when an identity has lost its role: the store says 403, the sidecar can't publish.
    name: 'parts'
    title: 'A store, a broker or a sidecar is away'
    severity: 0
    by: 'Part'
    threshold: 3
    query: '''
      AppMetrics
      | where Name == "cludale_part_ready" and Sum == 0
      | extend Part = strcat(AppRoleName, " ", tostring(Properties.part))
      | summarize Value = count() by Part
    '''
  }
]

resource asked 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for question in questions: {
  name: '${baseName}-${question.name}'
  location: location
  tags: tags
  properties: {
    displayName: question.title
    description: 'docs/run/alerts.md, ${question.name}'
    severity: question.severity
    enabled: true
    scopes: [
      workspaceId
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT10M'
    criteria: {
      allOf: [
        {
          query: question.query
          timeAggregation: 'Maximum'
          metricMeasureColumn: 'Value'
          dimensions: [
            {
              name: question.by
              operator: 'Include'
              values: [
                '*'
              ]
            }
          ]
          operator: 'GreaterThan'
          threshold: question.threshold
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    // The table appears with the first app.
    skipQueryValidation: true
    autoMitigate: true
    actions: {
      actionGroups: [
        actionGroupId
      ]
    }
  }
}]

resource vaultRefuses 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: '${baseName}-vault-refuses'
  location: 'global'
  tags: tags
  properties: {
    description: 'The vault says 403: an identity without its role, or somebody who tries.'
    severity: 1
    enabled: true
    scopes: [
      keyVaultId
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'refused'
          criterionType: 'StaticThresholdCriterion'
          metricNamespace: 'Microsoft.KeyVault/vaults'
          metricName: 'ServiceApiResult'
          // Not 401: each client is answered that once, to be told where to sign in.
          dimensions: [
            {
              name: 'StatusCode'
              operator: 'Include'
              values: [
                '403'
              ]
            }
          ]
          operator: 'GreaterThan'
          threshold: 0
          timeAggregation: 'Count'
        }
      ]
    }
    actions: actions
  }
}

resource vaultAway 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: '${baseName}-vault-away'
  location: 'global'
  tags: tags
  properties: {
    description: 'The vault does not answer: no replica can start.'
    severity: 1
    enabled: true
    scopes: [
      keyVaultId
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'available'
          criterionType: 'StaticThresholdCriterion'
          metricNamespace: 'Microsoft.KeyVault/vaults'
          metricName: 'Availability'
          operator: 'LessThan'
          threshold: 99
          timeAggregation: 'Average'
        }
      ]
    }
    actions: actions
  }
}

resource apps 'Microsoft.App/containerApps@2026-07-01' existing = [for name in serviceNames: {
  name: name
}]

resource cpu 'Microsoft.Insights/metricAlerts@2018-03-01' = [for (name, i) in serviceNames: {
  name: '${baseName}-${name}-cpu'
  location: 'global'
  tags: tags
  properties: {
    description: 'Replicas of ${name} are at the end of their cores.'
    severity: 2
    enabled: true
    scopes: [
      apps[i].id
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'cpu'
          criterionType: 'StaticThresholdCriterion'
          metricNamespace: 'Microsoft.App/containerApps'
          metricName: 'CpuPercentage'
          operator: 'GreaterThan'
          threshold: cpuPercent
          timeAggregation: 'Average'
        }
      ]
    }
    actions: actions
  }
}]

resource memory 'Microsoft.Insights/metricAlerts@2018-03-01' = [for (name, i) in serviceNames: {
  name: '${baseName}-${name}-memory'
  location: 'global'
  tags: tags
  properties: {
    description: 'A replica of ${name} is at the end of its memory.'
    severity: 2
    enabled: true
    scopes: [
      apps[i].id
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT5M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'memory'
          criterionType: 'StaticThresholdCriterion'
          metricNamespace: 'Microsoft.App/containerApps'
          metricName: 'MemoryPercentage'
          operator: 'GreaterThan'
          threshold: memoryPercent
          timeAggregation: 'Maximum'
        }
      ]
    }
    actions: actions
  }
}]
