// Who is told, and of what: the API away, errors, slow answers, dead letters, subscriptions that fall behind, a store
// that turns requests away, replicas that restart, a scaler that can't see what waits.

@description('What names start with.')
param baseName string

@description('Where the queries run.')
param location string

@description('Tags of every resource.')
param tags object

@description('Who is told.')
param email string

@description('The workspace that has the logs.')
param workspaceId string

@description('Application Insights.')
param applicationInsightsId string

@description('The broker.')
param serviceBusId string

@description('The store.')
param cosmosId string

@description('The topics of events.')
param topics array

@description('The topics of dead letters.')
param deadLetterTopics array

@description('The container apps; none before the first image.')
param serviceNames array

@description('The host of the API; empty before the first image.')
param address string

@description('Answers slower than this, for one in a hundred, are worth a message.')
param slowMilliseconds int = 1000

@description('Messages that wait on a topic\'s subscriptions from which on they are behind.')
param backlogMessages int = 5000

@description('A logical partition of the store with more gigabytes than this is worth a message.')
param partitionGigabytes int = 14

var isServing = !empty(address)
var actions = [
  {
    actionGroupId: operators.id
  }
]

resource operators 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: '${baseName}-operators'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'cludale'
    enabled: true
    emailReceivers: [
      {
        name: 'operators'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

resource visits 'Microsoft.Insights/webtests@2022-06-15' = if (isServing) {
  name: '${baseName}-availability'
  location: location
  tags: union(tags, {
    'hidden-link:${applicationInsightsId}': 'Resource'
  })
  kind: 'standard'
  properties: {
    SyntheticMonitorId: '${baseName}-availability'
    Name: 'The list of concerts'
    Kind: 'standard'
    Enabled: true
    Frequency: 300
    Timeout: 30
    RetryEnabled: true
    Locations: [
      {
        Id: 'emea-nl-ams-azr'
      }
      {
        Id: 'emea-gb-db3-azr'
      }
      {
        Id: 'emea-fr-pra-edge'
      }
    ]
    Request: {
      RequestUrl: 'https://${address}/concerts?limit=1'
      HttpVerb: 'GET'
      ParseDependentRequests: false
    }
    ValidationRules: {
      ExpectedHttpStatusCode: 200
      SSLCheck: true
      SSLCertRemainingLifetimeCheck: 14
    }
  }
}

resource away 'Microsoft.Insights/metricAlerts@2018-03-01' = if (isServing) {
  name: '${baseName}-away'
  location: 'global'
  tags: tags
  properties: {
    description: 'The list of concerts can not be had from two of three places.'
    severity: 0
    enabled: true
    scopes: [
      visits.id
      applicationInsightsId
    ]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.WebtestLocationAvailabilityCriteria'
      webTestId: visits.id
      componentId: applicationInsightsId
      failedLocationCount: 2
    }
    actions: actions
  }
}

resource apps 'Microsoft.App/containerApps@2026-07-01' existing = [for name in serviceNames: {
  name: name
}]

resource errors 'Microsoft.Insights/metricAlerts@2018-03-01' = [for (name, i) in serviceNames: {
  name: '${baseName}-${name}-errors'
  location: 'global'
  tags: tags
  properties: {
    description: '${name} answers 5xx.'
    severity: 1
    enabled: true
    scopes: [
      apps[i].id
    ]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'errors'
          criterionType: 'StaticThresholdCriterion'
          metricNamespace: 'Microsoft.App/containerApps'
          metricName: 'Requests'
          dimensions: [
            {
              name: 'statusCodeCategory'
              operator: 'Include'
              values: [
                '5xx'
              ]
            }
          ]
          operator: 'GreaterThan'
          threshold: 10
          timeAggregation: 'Total'
        }
      ]
    }
    actions: actions
  }
}]

resource restarts 'Microsoft.Insights/metricAlerts@2018-03-01' = [for (name, i) in serviceNames: {
  name: '${baseName}-${name}-restarts'
  location: 'global'
  tags: tags
  properties: {
    description: 'Replicas of ${name} restart again and again.'
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
          name: 'restarts'
          criterionType: 'StaticThresholdCriterion'
          metricNamespace: 'Microsoft.App/containerApps'
          metricName: 'RestartCount'
          operator: 'GreaterThan'
          threshold: 3
          timeAggregation: 'Maximum'
        }
      ]
    }
    actions: actions
  }
}]

resource gone 'Microsoft.Insights/metricAlerts@2018-03-01' = [for (name, i) in serviceNames: {
  name: '${baseName}-${name}-gone'
  location: 'global'
  tags: tags
  properties: {
    description: 'No replica of ${name} runs.'
    severity: 0
    enabled: true
    scopes: [
      apps[i].id
    ]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'replicas'
          criterionType: 'StaticThresholdCriterion'
          metricNamespace: 'Microsoft.App/containerApps'
          metricName: 'Replicas'
          operator: 'LessThan'
          threshold: 1
          timeAggregation: 'Maximum'
        }
      ]
    }
    actions: actions
  }
}]

resource slow 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: '${baseName}-slow'
  location: location
  tags: tags
  properties: {
    displayName: 'Slow answers'
    description: 'One answer in a hundred takes longer than ${slowMilliseconds} ms.'
    severity: 2
    enabled: true
    scopes: [
      workspaceId
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT5M'
    criteria: {
      allOf: [
        {
          // `GET /orders/{id}?wait=` is slow on purpose, and handled events are requests there as well.
          query: '''
            AppRequests
            | where Name matches regex "^(GET|POST) /" and Name != "GET /orders/{}"
            | summarize P99 = percentilew(DurationMs, ItemCount, 99), Requests = sum(ItemCount) by AppRoleName
            | where Requests > 100
          '''
          timeAggregation: 'Maximum'
          metricMeasureColumn: 'P99'
          dimensions: [
            {
              name: 'AppRoleName'
              operator: 'Include'
              values: [
                '*'
              ]
            }
          ]
          operator: 'GreaterThan'
          threshold: slowMilliseconds
          failingPeriods: {
            numberOfEvaluationPeriods: 2
            minFailingPeriodsToAlert: 2
          }
        }
      ]
    }
    // The tables appear with the first request.
    skipQueryValidation: true
    autoMitigate: true
    actions: {
      actionGroups: [
        operators.id
      ]
    }
  }
}

// Nothing else shows it: a scaler that may not count leaves an app at its fewest replicas, and says so here alone. It
// looks every 30 s, so one failure is a moment's; ten in a quarter of an hour are a third of all.
resource blindScaler 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: '${baseName}-scaler'
  location: location
  tags: tags
  properties: {
    displayName: 'A scaler fails'
    description: 'A scaler can not see what waits: its app stays at the replicas that it has.'
    severity: 2
    enabled: true
    scopes: [
      workspaceId
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      allOf: [
        {
          query: '''
            ContainerAppSystemLogs
            | where Reason == "KEDAScalerFailed"
          '''
          timeAggregation: 'Count'
          dimensions: [
            {
              name: 'ContainerAppName'
              operator: 'Include'
              values: [
                '*'
              ]
            }
          ]
          operator: 'GreaterThan'
          threshold: 10
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
        operators.id
      ]
    }
  }
}

// A logical partition takes no more than 20 GB. What grows there: docs/run/cosmos-db.md.
resource filling 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: '${baseName}-filling'
  location: location
  tags: tags
  properties: {
    displayName: 'A partition of the store fills up'
    description: 'A logical partition has more than ${partitionGigabytes} GB. At 20 every write to it is refused.'
    severity: 1
    enabled: true
    scopes: [
      workspaceId
    ]
    evaluationFrequency: 'PT1H'
    windowSize: 'P1D'
    criteria: {
      allOf: [
        {
          query: '''
            CDBPartitionKeyStatistics
            | summarize Gigabytes = max(SizeKb) / 1000000.0 by CollectionName, PartitionKey
          '''
          timeAggregation: 'Maximum'
          metricMeasureColumn: 'Gigabytes'
          dimensions: [
            {
              name: 'CollectionName'
              operator: 'Include'
              values: [
                '*'
              ]
            }
            {
              name: 'PartitionKey'
              operator: 'Include'
              values: [
                '*'
              ]
            }
          ]
          operator: 'GreaterThan'
          threshold: partitionGigabytes
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    // The table appears with the first partition of a gigabyte or so.
    skipQueryValidation: true
    autoMitigate: true
    actions: {
      actionGroups: [
        operators.id
      ]
    }
  }
}

resource deadLetters 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: '${baseName}-dead-letters'
  location: 'global'
  tags: tags
  properties: {
    description: 'The broker has given events up, and nobody tries them again: cludale deadletters count --service-bus …'
    severity: 1
    enabled: true
    scopes: [
      serviceBusId
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT5M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'dead-letters'
          criterionType: 'StaticThresholdCriterion'
          metricNamespace: 'Microsoft.ServiceBus/namespaces'
          metricName: 'DeadletteredMessages'
          dimensions: [
            {
              name: 'EntityName'
              operator: 'Include'
              values: [
                '*'
              ]
            }
          ]
          operator: 'GreaterThan'
          threshold: 0
          timeAggregation: 'Average'
        }
      ]
    }
    actions: actions
  }
}

resource buried 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: '${baseName}-buried'
  location: 'global'
  tags: tags
  properties: {
    description: 'Events that could not be handled wait to be tried again, and are not.'
    severity: 1
    enabled: true
    scopes: [
      serviceBusId
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT5M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'buried'
          criterionType: 'StaticThresholdCriterion'
          metricNamespace: 'Microsoft.ServiceBus/namespaces'
          metricName: 'ActiveMessages'
          dimensions: [
            {
              name: 'EntityName'
              operator: 'Include'
              values: deadLetterTopics
            }
          ]
          operator: 'GreaterThan'
          threshold: 50
          timeAggregation: 'Average'
        }
      ]
    }
    actions: actions
  }
}

resource behind 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: '${baseName}-behind'
  location: 'global'
  tags: tags
  properties: {
    description: 'Subscriptions of a topic fall behind.'
    severity: 2
    enabled: true
    scopes: [
      serviceBusId
    ]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'waiting'
          criterionType: 'StaticThresholdCriterion'
          metricNamespace: 'Microsoft.ServiceBus/namespaces'
          metricName: 'ActiveMessages'
          dimensions: [
            {
              name: 'EntityName'
              operator: 'Include'
              values: topics
            }
          ]
          operator: 'GreaterThan'
          threshold: backlogMessages
          timeAggregation: 'Average'
        }
      ]
    }
    actions: actions
  }
}

resource throttled 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: '${baseName}-throttled'
  location: 'global'
  tags: tags
  properties: {
    description: 'The store turns requests away: more request units are needed.'
    severity: 2
    enabled: true
    scopes: [
      cosmosId
    ]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'throttled'
          criterionType: 'StaticThresholdCriterion'
          metricNamespace: 'Microsoft.DocumentDB/databaseAccounts'
          metricName: 'TotalRequests'
          dimensions: [
            {
              name: 'StatusCode'
              operator: 'Include'
              values: [
                '429'
              ]
            }
          ]
          operator: 'GreaterThan'
          threshold: 100
          timeAggregation: 'Count'
        }
      ]
    }
    actions: actions
  }
}

@description('Who is told, for other alerts.')
output actionGroupId string = operators.id
