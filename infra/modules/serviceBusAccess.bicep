// What one principal may do at the broker: send to these topics, receive from its subscriptions of those.

@description('The namespace.')
param namespaceName string

@description('Who.')
param principalId string

@description('The names of the topics that it sends to.')
param sendsTo array

@description('The names of the topics that it hears.')
param hears array

@description('The name of its subscriptions.')
param subscriptionName string

var dataSender = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '69a216fc-b8fb-44d8-bc22-1f3c2cd27a39')
var dataReceiver = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0')

resource namespace 'Microsoft.ServiceBus/namespaces@2026-01-01' existing = {
  name: namespaceName
}

resource targets 'Microsoft.ServiceBus/namespaces/topics@2026-01-01' existing = [for topic in sendsTo: {
  parent: namespace
  name: topic
}]

resource sources 'Microsoft.ServiceBus/namespaces/topics@2026-01-01' existing = [for topic in hears: {
  parent: namespace
  name: topic
}]

resource subscriptions 'Microsoft.ServiceBus/namespaces/topics/subscriptions@2026-01-01' existing = [for (topic, i) in hears: {
  parent: sources[i]
  name: subscriptionName
}]

resource sends 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (topic, i) in sendsTo: {
  name: guid(targets[i].id, principalId, dataSender)
  scope: targets[i]
  properties: {
    roleDefinitionId: dataSender
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}]

resource receives 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (topic, i) in hears: {
  name: guid(subscriptions[i].id, principalId, dataReceiver)
  scope: subscriptions[i]
  properties: {
    roleDefinitionId: dataReceiver
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}]
