// What operators may do at the broker: look at what it gave up, and send that to its service again. The right to receive
// from a subscription is the right to its dead-letter queue; there is none for that queue alone.

@description('The namespace.')
param namespaceName string

@description('Who.')
param principalId string

@description('What kind of principal that is.')
param principalType string

@description('The topics of dead letters, to which is sent again.')
param deadLetterTopics array

var dataSender = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '69a216fc-b8fb-44d8-bc22-1f3c2cd27a39')
var dataReceiver = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0')

resource namespace 'Microsoft.ServiceBus/namespaces@2026-01-01' existing = {
  name: namespaceName
}

resource targets 'Microsoft.ServiceBus/namespaces/topics@2026-01-01' existing = [for topic in deadLetterTopics: {
  parent: namespace
  name: topic
}]

resource receives 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(namespace.id, principalId, dataReceiver)
  scope: namespace
  properties: {
    roleDefinitionId: dataReceiver
    principalId: principalId
    principalType: principalType
  }
}

resource sends 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (topic, i) in deadLetterTopics: {
  name: guid(targets[i].id, principalId, dataSender)
  scope: targets[i]
  properties: {
    roleDefinitionId: dataSender
    principalId: principalId
    principalType: principalType
  }
}]
