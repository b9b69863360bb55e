// A private endpoint with its zone of names, so that the public name leads to the private address.

@description('The name of the endpoint.')
param name string

@description('Where it is.')
param location string

@description('Tags of every resource.')
param tags object

@description('What is reached through it.')
param targetId string

@description('Which part of the target: vault, Sql, namespace.')
param groupId string

@description('The zone that the public name turns to.')
param zoneName string

@description('The subnet of the endpoint.')
param subnetId string

@description('The network that the names are for.')
param networkId string

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: zoneName
  location: 'global'
  tags: tags
}

// Named after nothing that changes: a zone takes a network once, and refuses a second link to it under another name.
// A restored store has an endpoint of its own in the same zone.
resource zoneLink 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = {
  parent: zone
  name: 'network'
  location: 'global'
  tags: tags
  properties: {
    registrationEnabled: false
    virtualNetwork: {
      id: networkId
    }
  }
}

resource endpoint 'Microsoft.Network/privateEndpoints@2026-03-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    subnet: {
      id: subnetId
    }
    privateLinkServiceConnections: [
      {
        name: name
        properties: {
          privateLinkServiceId: targetId
          groupIds: [
            groupId
          ]
        }
      }
    ]
  }
}

resource names 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2026-03-01' = {
  parent: endpoint
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      {
        name: groupId
        properties: {
          privateDnsZoneId: zone.id
        }
      }
    ]
  }
}
