// The broker: a topic a publishing service, a subscription a hearing service with a filter on the types that it hears,
// and a topic for each service's dead letters. Keys are off: everyone signs in as what they are.

@description('Its name, unique in Azure: 6 to 50 characters.')
@minLength(6)
@maxLength(50)
param name string

@description('Where it is.')
param location string

@description('Tags of every resource.')
param tags object

@description('Standard or Premium.')
@allowed([
  'Standard'
  'Premium'
])
param sku string

@description('Where its logs go.')
param workspaceId string

@description('The names of the topics.')
param topics array

@description('The subscriptions: {name, topic, topicIndex, sqlFilter}.')
param subscriptions array

@description('The topics for dead letters: each service\'s own, {name, deadLetterTopic, …}.')
param services array

@description('How often the broker delivers a message before it puts it aside.')
@minValue(1)
@maxValue(2000)
param maxDeliveryCount int

@description('The subnet of its private endpoint; empty: it is reached over the public address.')
param privateEndpointsSubnetId string

@description('The network of that subnet.')
param networkId string

@description('A second region that has a copy of topics and messages, to be promoted; empty for none. Takes Premium.')
param secondaryLocation string

var isPrivate = !empty(privateEndpointsSubnetId)

// An event waits this long for a service that is away; past it, it is a dead letter, not lost.
var eventLife = 'P14D'
// A dead letter waits this long for its service.
var deadLetterLife = 'P90D'

resource namespace 'Microsoft.ServiceBus/namespaces@2026-01-01' = {
  name: name
  location: location
  tags: tags
  sku: {
    name: sku
    tier: sku
    capacity: sku == 'Premium' ? 1 : null
  }
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    // Messages are copied without waiting: with a copy that is five minutes behind, sending is refused until it catches
    // up, and events wait in the outboxes. What the copy lacks when it is promoted, a replay delivers again.
    geoDataReplication: sku == 'Premium' && !empty(secondaryLocation) ? {
      maxReplicationLagDurationInSeconds: 300
      locations: [
        {
          locationName: location
          roleType: 'Primary'
        }
        {
          locationName: secondaryLocation
          roleType: 'Secondary'
        }
      ]
    } : null
  }
}

resource eventTopics 'Microsoft.ServiceBus/namespaces/topics@2026-01-01' = [for topic in topics: {
  parent: namespace
  name: topic
  properties: {
    defaultMessageTimeToLive: eventLife
    // A hint that saves deliveries: the relay gives the event's id as MessageId and may publish an event twice.
    // What makes a second delivery harmless is each service's inbox.
    requiresDuplicateDetection: true
    duplicateDetectionHistoryTimeWindow: 'PT10M'
    enableBatchedOperations: true
    maxSizeInMegabytes: 5120
    supportOrdering: false
  }
}]

resource heard 'Microsoft.ServiceBus/namespaces/topics/subscriptions@2026-01-01' = [for subscription in subscriptions: {
  parent: eventTopics[subscription.topicIndex]
  name: subscription.name
  properties: {
    maxDeliveryCount: maxDeliveryCount
    lockDuration: 'PT1M'
    defaultMessageTimeToLive: eventLife
    deadLetteringOnMessageExpiration: true
    deadLetteringOnFilterEvaluationExceptions: true
    // Handlers take events in any order; a session would tie an order to one replica for nothing.
    requiresSession: false
    enableBatchedOperations: true
  }
}]

// The rule that a subscription is born with lets everything through; its name is $Default, and this takes its place.
resource filters 'Microsoft.ServiceBus/namespaces/topics/subscriptions/rules@2026-01-01' = [for (subscription, i) in subscriptions: {
  parent: heard[i]
  name: '$Default'
  properties: {
    filterType: 'SqlFilter'
    sqlFilter: {
      sqlExpression: subscription.sqlFilter
    }
  }
}]

resource buried 'Microsoft.ServiceBus/namespaces/topics@2026-01-01' = [for service in services: {
  parent: namespace
  name: service.deadLetterTopic
  properties: {
    defaultMessageTimeToLive: deadLetterLife
    requiresDuplicateDetection: false
    enableBatchedOperations: true
    maxSizeInMegabytes: 1024
  }
}]

// Each service hears its own dead letters: it tries them again with growing waits, then keeps them in its store with the
// reason, where operators find them. What it can not even keep stays here, among the broker's own dead letters.
resource kept 'Microsoft.ServiceBus/namespaces/topics/subscriptions@2026-01-01' = [for (service, i) in services: {
  parent: buried[i]
  name: service.name
  properties: {
    maxDeliveryCount: 2000
    lockDuration: 'PT1M'
    defaultMessageTimeToLive: deadLetterLife
    deadLetteringOnMessageExpiration: true
    requiresSession: false
  }
}]

module endpoint 'privateEndpoint.bicep' = if (isPrivate) {
  name: 'bus-endpoint'
  params: {
    name: '${name}-bus-endpoint'
    location: location
    tags: tags
    targetId: namespace.id
    groupId: 'namespace'
    zoneName: 'privatelink.servicebus.windows.net'
    subnetId: privateEndpointsSubnetId
    networkId: networkId
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: namespace
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        categoryGroup: 'audit'
        enabled: true
      }
    ]
  }
}

@description('The namespace.')
output id string = namespace.id

@description('Its name.')
output name string = namespace.name

@description('Its host, as the Dapr component and the scaler want it.')
output host string = '${namespace.name}.servicebus.windows.net'
